"""``modelfleet score``: predictions for a whole file, by what serves now."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from modelfleet.cli.output import JsonFlag, out, print_json, progress
from modelfleet.errors import LedgerEmptyError
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger
from modelfleet.spec.file import load_spec


def score(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    data: Annotated[
        str,
        typer.Option("--input", help="File, quoted glob or folder, here or below gs:// or s3://: CSV, JSONL, Parquet."),
    ],
    output: Annotated[str, typer.Option(help="The Parquet file to write, here or below gs:// or s3://.")],
    generation: Annotated[int | None, typer.Option(help="Which release predicts; the newest if left out.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score files of any size with a Beam job; rows that cannot be predicted are listed beside the output."""
    import pyarrow.parquet as pq

    from modelfleet.engines.launch import run_job
    from modelfleet.engines.options import pipeline_options
    from modelfleet.engines.preflight import check_engine
    from modelfleet.serving.score_output import deliver, output_here
    from modelfleet.serving.scored_file import bad_rows_path
    from modelfleet.stores.place import Url, place

    home = Home.from_environment()
    fleet = load_spec(spec)
    folders = home.fleet(fleet.fleet)
    latest = Ledger(folders.releases).latest()
    if latest is None:
        raise LedgerEmptyError(fleet.fleet)
    check_engine(fleet, "score", home)
    # Chosen here and not in the job, so that what is reported is what scored, whatever is released meanwhile
    here = output_here(folders, output)
    chosen = latest.generation if generation is None else generation
    with tempfile.TemporaryDirectory(prefix="modelfleet-") as folder, progress.status(f"scoring {data}"):
        document = Path(folder) / "spec.json"
        document.write_text(fleet.model_dump_json())
        arguments = ["--fleet-home", str(folders.root), "--spec", str(document), "--generation", str(chosen)]
        source = place(data)
        arguments += ["--input", str(source if isinstance(source, Url) else source.absolute()), "--output", str(here)]
        options = pipeline_options(fleet, "score", home, run=f"{here} by {chosen}")
        run_job("beam_jobs.score", arguments, options)
        bad_rows = bad_rows_path(here)
        scored = pq.read_metadata(here).num_rows
        bad = pq.read_metadata(bad_rows).num_rows if bad_rows.exists() else 0
        deliver(here, output)
    bad_rows_file = f"{output.rpartition('/')[0]}/{bad_rows.name}" if "://" in output else str(bad_rows)
    if as_json:
        print_json(
            {
                "fleet": fleet.fleet,
                "generation": chosen,
                "output": output,
                "rows": scored,
                "bad_rows": bad,
                "bad_rows_file": bad_rows_file if bad else None,
            }
        )
        return
    out.print(f"{scored:,} rows scored by generation {chosen} into {output}")
    if bad:
        out.print(f"{bad:,} rows could not be predicted; the reasons are in {bad_rows_file}")

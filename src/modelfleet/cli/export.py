"""``modelfleet export``: one entity's model as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.errors import InputError, LedgerEmptyError, nearest
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger
from modelfleet.spec.file import load_spec
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    import pyarrow as pa

    from modelfleet.bundles.format import ShardFile
    from modelfleet.bundles.reader import Bundle


def export(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    output: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    entity: Annotated[str | None, typer.Option(help="Whose model; the pooled model if left out.")] = None,
    generation: Annotated[int | None, typer.Option(help="Of which release; the newest if left out.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the model that serves an entity as ONNX; docs/families.md says what it takes and answers."""
    from modelfleet.bundles.reader import Bundle
    from modelfleet.families.onnx_export import export_model

    home = Home.from_environment()
    fleet = load_spec(spec)
    ledger = Ledger(home.fleet(fleet.fleet).releases)
    release = ledger.latest() if generation is None else ledger.get(generation)
    if release is None:
        raise LedgerEmptyError(fleet.fleet)
    bundle = Bundle.open(release.bundle.uri, sha256=release.bundle.sha256, verify=False)
    file, model = _model_of(bundle, entity)
    served_by = "pooled" if file.shard is None else "entity"
    metadata = {"fleet": fleet.fleet, "entity": entity or "", "served_by": served_by, "bundle": bundle.sha256}
    data = export_model(file.family, bundle.schema_of(file), file.parameters, model, metadata)
    write_whole(output, data)
    if as_json:
        print_json(
            {
                "fleet": fleet.fleet,
                "generation": release.generation,
                "entity": entity,
                "served_by": served_by,
                "family": file.family,
                "output": str(output),
                "bytes": len(data),
            }
        )
        return
    whose = "the pooled model" if entity is None else f"the model of {entity}"
    if entity is not None and served_by == "pooled":
        whose = f"the pooled model, which serves {entity},"
    out.print(f"{whose} of generation {release.generation} ({file.family}, {len(data):,} bytes) is in {output}")


def _model_of(bundle: Bundle, entity: str | None) -> tuple[ShardFile, pa.Table]:
    """Return the model that serves an entity, and the file it is in.

    Raises:
        InputError: No model serves it.
    """
    if entity in bundle.entities:
        row = bundle.index["entity"].to_pylist().index(entity)
        path = bundle.index["path"][row].as_py()
        return bundle.files[path], bundle.models(path).slice(bundle.index["row"][row].as_py(), 1)
    pooled = bundle.manifest.pooled
    if pooled is None:
        known = nearest(entity, bundle.entities) if entity is not None else ""
        raise InputError(f"{bundle.where}: has no pooled model, and no model of entity {entity!r}{known}")
    return bundle.files[pooled.path], bundle.models(pooled.path).slice(pooled.row, 1)

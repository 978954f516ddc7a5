"""The command ``modelfleet``."""

from __future__ import annotations

from typing import Annotated

import typer

import modelfleet
from modelfleet.cli.bench import bench
from modelfleet.cli.doctor import doctor
from modelfleet.cli.export import export
from modelfleet.cli.gc import gc
from modelfleet.cli.history import history
from modelfleet.cli.init import init
from modelfleet.cli.keys import keys
from modelfleet.cli.output import reports_errors
from modelfleet.cli.pin import pin, unpin
from modelfleet.cli.plan import plan
from modelfleet.cli.rollback import rollback
from modelfleet.cli.run import run
from modelfleet.cli.score import score
from modelfleet.cli.serve import serve
from modelfleet.cli.status import status

app = typer.Typer(
    name="modelfleet",
    help="One model per entity, for thousands of entities, kept fresh and served without a pause.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

for command in (init, run, serve, score, status, history, rollback, pin, unpin, gc, export, plan, doctor, bench):
    app.command()(reports_errors(command))
app.add_typer(keys, name="keys")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelfleet {modelfleet.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Exit codes: 0 done, 2 your input is wrong, 3 gate or pin let nothing through, 4 retry may help, 1 all else."""


def main() -> None:
    """Run the command line."""
    app()

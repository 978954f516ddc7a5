"""What ``beam_jobs.serve`` needs besides where Google's launcher of a Flex Template starts it, without modelfleet.

That launcher knows the template's parameters and what the template says of machines and places. It has no folder of
ours, and writes the job into a file (``--template_location``), from which Dataflow makes it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from modelfleet.engines.dataflow_options import dataflow_options
from modelfleet.engines.dataflow_places import place_checks
from modelfleet.engines.options import command_line
from modelfleet.errors import CloudSetupError, SpecError
from modelfleet.home import Home
from modelfleet.spec.file import parse_yaml
from modelfleet.spec.fleet import FleetSpec
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import place


def read_spec(named: str, fleet: str) -> FleetSpec:
    """Return the spec of a fleet.

    Args:
        named: A file of JSON, as whoever submits writes it; or the url of one below a bucket, which may be YAML.
        fleet: Whose it must be.

    Raises:
        SpecError: It is not there, is not valid, or is that of another fleet.
        StoreRefusedError: The bucket is not there, or is closed to this account.
        StoreUnavailableError: It does not answer.
    """
    file = place(named)
    if isinstance(file, Path):
        spec = FleetSpec.model_validate_json(file.read_bytes())
    else:
        try:
            text = open_store(file.parent).read(file.name).decode()
        except FileNotFoundError:
            raise SpecError(f"{named}: no such file in the bucket") from None
        spec = parse_yaml(text, origin=named, folder=Path("/"))
    if spec.fleet != fleet:
        raise SpecError(f"{named}: is the spec of fleet '{spec.fleet}', expected '{fleet}'")
    return spec


def launch_arguments(spec: FleetSpec, home: Home, given: Sequence[str]) -> list[str]:
    """Return the arguments for Beam: as given, and before them what a template's launcher does not know.

    Args:
        spec: The fleet's spec.
        home: The root folder.
        given: The arguments that are not the launcher's own. Of an option that is named twice they win.

    Raises:
        CloudSetupError: The job could not run there, or would have a name by which nobody finds it.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--template_location")
    parser.add_argument("--job_name")
    known, _ = parser.parse_known_args(given)
    if not known.template_location:
        return list(given)
    if spec.engine != "dataflow":
        raise CloudSetupError(f"fleet '{spec.fleet}': engine is '{spec.engine}', expected 'dataflow' for a template")
    wrong = [check.as_line() for check in place_checks(spec, "serve", home) if check.state == "wrong"]
    if wrong:
        raise CloudSetupError(f"fleet '{spec.fleet}' cannot be served by a template: {'; '.join(wrong)}")
    if home.shared is None:
        raise CloudSetupError(f"the home is {home.root}, expected gs://BUCKET/PREFIX: nobody else sees a folder here")
    options = dataflow_options(spec, "serve", home)
    if known.job_name != options["job_name"]:
        raise CloudSetupError(
            f"the job is called '{known.job_name}', expected '{options['job_name']}': launch the template under that "
            f"name, by which modelfleet finds the job of fleet '{spec.fleet}' and nobody starts a second one"
        )
    return [*command_line(options), *given]

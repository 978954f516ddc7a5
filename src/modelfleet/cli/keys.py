"""``modelfleet keys``: the pair by which releases are signed and believed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from modelfleet.cli.output import JsonFlag, out, print_json, reports_errors
from modelfleet.signing.keyring import PUBLIC_KEYS, Keyring
from modelfleet.signing.pair import PRIVATE_NAME, PUBLIC_NAME, new_pair
from modelfleet.signing.signer import SIGNING_KEY, signer_from_environment

keys = typer.Typer(help="Make and list the keys by which releases are signed and believed.", no_args_is_help=True)


@keys.command()
@reports_errors
def new(
    folder: Annotated[Path, typer.Argument(help="Where both keys are written; no key is ever written over.")],
    as_json: JsonFlag = False,
) -> None:
    """Make a pair: signing.pem for whoever promotes, public.pem for whoever serves."""
    public = new_pair(folder)
    private, beside = folder.absolute() / PRIVATE_NAME, folder.absolute() / PUBLIC_NAME
    if as_json:
        print_json({"id": public.id, "signing_key": str(private), "public_key": str(beside)})
        return
    out.print(f"key {public.id}", markup=False)
    out.print(f"whoever promotes needs the private key:    export {SIGNING_KEY}={private}", markup=False)
    out.print(f"whoever serves needs only the public one:  export {PUBLIC_KEYS}={beside}", markup=False)


@keys.command()
@reports_errors
def show(as_json: JsonFlag = False) -> None:
    """Show which key signs here, and which are believed here."""
    signer, keyring = signer_from_environment(), Keyring.from_environment()
    signs = None if signer is None else signer.public.id
    if as_json:
        print_json({"signs": signs, "believes": sorted(keyring.keys), "checked": bool(keyring)})
        return
    named = os.environ.get(SIGNING_KEY, "")
    out.print(f"signs with: {signs} ({named})" if signs else f"signs nothing: ${SIGNING_KEY} is not set", markup=False)
    if keyring:
        out.print(f"believes only: {keyring.told} ({os.environ[PUBLIC_KEYS]})", markup=False)
    else:
        out.print(f"believes every release, signed or not: ${PUBLIC_KEYS} is not set", markup=False)

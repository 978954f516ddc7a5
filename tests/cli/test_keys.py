"""``modelfleet keys``: what it makes is what promotes and serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelfleet.cli.main import app
from modelfleet.signing.keyring import PUBLIC_KEYS, Keyring
from modelfleet.signing.signer import SIGNING_KEY, FileSigner


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["keys", *arguments])


def test_a_new_pair_is_said_with_what_to_do(tmp_path: Path) -> None:
    done = invoke("new", str(tmp_path / "pair"))
    assert done.exit_code == 0
    signer = FileSigner(tmp_path / "pair" / "signing.pem")
    assert f"key {signer.public.id}" in done.stdout
    assert f"export {SIGNING_KEY}={tmp_path}/pair/signing.pem" in done.stdout
    assert f"export {PUBLIC_KEYS}={tmp_path}/pair/public.pem" in done.stdout
    again = invoke("new", str(tmp_path / "pair"))
    assert again.exit_code == 2
    assert "never written over" in again.stderr


def test_as_json(tmp_path: Path) -> None:
    told = json.loads(invoke("new", str(tmp_path), "--json").stdout)
    assert list(Keyring.from_path(Path(told["public_key"])).keys) == [told["id"]]
    assert FileSigner(Path(told["signing_key"])).public.id == told["id"]


def test_what_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.loads(invoke("new", str(tmp_path), "--json").stdout)
    monkeypatch.delenv(SIGNING_KEY, raising=False)
    monkeypatch.delenv(PUBLIC_KEYS, raising=False)
    assert "believes every release, signed or not" in invoke("show").stdout
    monkeypatch.setenv(SIGNING_KEY, told["signing_key"])
    monkeypatch.setenv(PUBLIC_KEYS, told["public_key"])
    shown = invoke("show").stdout
    assert f"signs with: {told['id']}" in shown
    assert f"believes only: {told['id']}" in shown
    assert json.loads(invoke("show", "--json").stdout) == {
        "signs": told["id"], "believes": [told["id"]], "checked": True,
    }  # fmt: skip
    monkeypatch.setenv(PUBLIC_KEYS, str(tmp_path / "no.pem"))
    wrong = invoke("show", "--json")
    assert wrong.exit_code == 2
    assert json.loads(wrong.stdout)["error"]["type"] == "InputError"

"""A spec that does not load costs its own fleet only, and is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelfleet.errors import SpecError
from modelfleet_airflow.dags.fleets import Fleet, fleets_folder, good_fleets, raise_broken, read_fleets

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fleets folder with one good spec, for tests to spoil."""
    folder = tmp_path / "fleets"
    folder.mkdir()
    (folder / "shops.yaml").write_text((airflow_home / "fleets" / "shops.yaml").read_text())
    monkeypatch.setenv("MODELFLEET_FLEETS", str(folder))
    return folder


def spoil(folder: Path, name: str, before: str, after: str) -> None:
    text = (folder / "shops.yaml").read_text().replace("fleet: shops", f"fleet: {name}")
    assert before in text
    (folder / f"{name}.yaml").write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("family:", "famly:", "model.famly: no such key; did you mean 'family'?"),
        ("entity: shop\n", "", "entity: is required"),
        ("0 3 * * 1", "61 3 * * 1", "schedule.cron: is '61 3 * * 1': not a cron expression"),
        ("task: regression", "task: [", "not valid YAML"),
        ("fleet: typo", "fleet: shops", "fleet: 'shops' is already described by"),
    ],
)
def test_the_error_names_file_and_field_and_the_good_fleet_stays(
    folder: Path, before: str, after: str, message: str
) -> None:
    spoil(folder, "typo", before, after)
    with pytest.raises(SpecError) as caught:
        raise_broken(__file__)
    assert "typo.yaml" in str(caught.value)
    assert message in str(caught.value)
    assert [fleet.name for fleet in good_fleets(__file__)] == ["shops"]


def test_every_broken_spec_is_told_of(folder: Path) -> None:
    spoil(folder, "first", "family:", "famly:")
    spoil(folder, "second", "target:", "goal:")
    with pytest.raises(SpecError, match=r"first.yaml: model.famly.*\n.*second.yaml: data.target: is required"):
        raise_broken(__file__)


def test_a_missing_folder_says_which_setting_to_change(tmp_path: Path) -> None:
    fleets, errors = read_fleets(tmp_path / "nowhere")
    assert fleets == []
    assert "nowhere: no such folder; set MODELFLEET_FLEETS" in str(errors[0])


def test_the_folder_is_beside_the_dags_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELFLEET_FLEETS")
    assert fleets_folder(ROOT / "dags" / "retrain.py") == ROOT / "fleets"
    raise_broken(ROOT / "dags" / "retrain.py")
    assert isinstance(good_fleets(ROOT / "dags" / "retrain.py")[0], Fleet)


def test_airflow_shows_the_error_and_keeps_the_good_fleets_dags(folder: Path, airflow_db: None) -> None:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dag import DagModel
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session
    from sqlalchemy import select

    spoil(folder, "bad", "family:", "famly:")
    bag = DagBag(dag_folder=str(ROOT / "dags"), bundle_path=ROOT / "dags", bundle_name="dags-folder")
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        errors = session.execute(select(ParseImportError.filename, ParseImportError.stacktrace)).all()
        dags = session.execute(select(DagModel.dag_id, DagModel.is_stale, DagModel.has_import_errors)).all()
    assert [name for name, _ in errors] == ["broken_specs.py"]
    assert "bad.yaml: model.famly: no such key; did you mean 'family'?" in errors[0][1]
    assert {row for row in dags if row[0].startswith("shops")} == {
        (f"shops_{kind}", False, False) for kind in ("retrain", "serve", "rollback", "score")
    }

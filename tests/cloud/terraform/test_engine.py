"""What Terraform puts out is what modelfleet and Beam take in: nothing is typed again."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from infra.tests.workspace import ENVIRONMENTS, Workspace
from modelfleet.engines.deployment import DEPLOYED
from modelfleet.engines.options import Job, command_line, pipeline_options
from modelfleet.home import Home
from modelfleet.loop.data_docs import DATA_DOCS
from modelfleet.registry import google_auth
from modelfleet.signing.kms import KmsSigner
from modelfleet.spec import load_spec, override, parse_spec
from modelfleet.spec.notices import PubsubNotices
from modelfleet.spec.sink import PubsubSinkSpec
from modelfleet.spec.source import PubsubSourceSpec

REPOSITORY = Path(__file__).resolve().parents[3]
INCOME = REPOSITORY / "fleets/income.yaml"


def outputs(workspace: Workspace, environment: str) -> dict[str, Any]:
    """Return an environment's outputs, as `terraform output -json` would."""
    plan = next(iter(workspace.test(environment).plans.values()))
    return {name: change.get("after") for name, change in plan["output_changes"].items()}


def beam_options(arguments: list[str]) -> dict[str, Any]:
    """Return what Beam reads from a command line; an option that it does not know is an error."""
    from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

    parser = _BeamArgumentParser(allow_abbrev=False)
    for kind in {PipelineOptions, *PipelineOptions.__subclasses__()}:
        kind._add_argparse_args(parser)
    return vars(parser.parse_args(arguments))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_patch_moves_a_fleet_to_dataflow(workspace: Workspace, environment: str) -> None:
    found = outputs(workspace, environment)
    patch = json.loads(found["engine_patch"]["income"])
    local = load_spec(INCOME)
    moved = override(local, patch)
    assert (local.engine, moved.engine) == ("local", "dataflow")
    assert moved.engine_options == patch["engine_options"] == found["engine_options"]
    project, dataset, table = found["tables"]["income"]["evaluation"].split(".")
    assert moved.evaluation.table == f"bigquery://{project}/{dataset}/{table}"
    serving = moved.serving
    assert isinstance(serving.source, PubsubSourceSpec)
    assert isinstance(serving.sink, PubsubSinkSpec)
    assert isinstance(serving.notices, PubsubNotices)
    assert serving.source.subscription == found["subscriptions"]["income"]["requests"]
    assert serving.sink.answers == found["topics"]["income"]["answers"]
    assert serving.notices.subscription == found["subscriptions"]["income"]["releases"]
    unserved = dict.fromkeys(patch["serving"])
    back = {"engine": "local", "engine_options": None, "evaluation": {"table": None}, "serving": unserved}
    assert override(moved, back) == local


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_yaml_is_a_part_of_a_spec(workspace: Workspace, environment: str) -> None:
    found = outputs(workspace, environment)
    smallest = {"fleet": "f", "entity": "e", "task": "binary", "data": {"source": "f.csv", "target": "t"}}
    spec = parse_spec(smallest | YAML(typ="safe").load(found["engine_yaml"]["income"]), origin="terraform")
    assert spec.engine_options == found["engine_options"]
    assert str(spec.evaluation.table).endswith("/income_evaluation")


@pytest.mark.parametrize("job", ["prepare", "train", "score", "serve"])
def test_beam_knows_every_option(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: Job
) -> None:
    found = outputs(workspace, "environments/prod")["engine_options"]
    note = {"version": "0.1.0", "images": {"worker": "registry.example/worker@sha256:0"}}
    (tmp_path / "deployed.json").write_text(json.dumps(note))
    monkeypatch.setenv(DEPLOYED, str(tmp_path / "deployed.json"))
    spec = override(load_spec(INCOME), {"engine": "dataflow", "engine_options": found})
    read = beam_options(command_line(pipeline_options(spec, job, Home(tmp_path))))
    assert read["runner"] == "DataflowRunner"
    assert read["use_public_ips"] is False
    assert "sdk_container_image" not in found, "an apply would be needed for every deployment"
    assert read["sdk_container_image"] == "registry.example/worker@sha256:0"
    same = set(found) - {"no_use_public_ips"}
    assert {name: read[name] for name in same} == {name: found[name] for name in same}


def test_an_option_that_beam_does_not_know_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        beam_options(["--runner=DataflowRunner", "--max_workers=4"])
    assert "--max_workers=4" in capsys.readouterr().err


def key_version(found: dict[str, Any]) -> str:
    """Return the name of the key that signs, which ``KmsSigner`` takes for one."""
    project, region = found["engine_options"]["project"], found["engine_options"]["region"]
    name = f"projects/{project}/locations/{region}/keyRings/modelfleet/cryptoKeys/releases/cryptoKeyVersions/1"
    KmsSigner(name)
    return name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_airflow_is_told_where_everything_is(workspace: Workspace, environment: str) -> None:
    found = outputs(workspace, environment)
    assert found["environment"] == {
        "MODELFLEET_HOME": f"gs://{found['buckets']['home']}",
        "MODELFLEET_FLEETS": "/home/airflow/gcs/dags/fleets",
        DEPLOYED: f"gs://{found['buckets']['dags']}/deployed.json",
        DATA_DOCS: f"gs://{found['buckets']['data-docs']}",
        **dict.fromkeys(("MODELFLEET_SIGNING_KEY", "MODELFLEET_PUBLIC_KEYS"), f"gcpkms://{key_version(found)}"),
        "MLFLOW_TRACKING_URI": "https://mlflow-abc.a.run.app",
        "MLFLOW_TRACKING_AUTH": google_auth.NAME,
    }
    assert json.loads(found["connections"]["google_cloud_default"])["extra"] == {
        "project": found["engine_options"]["project"]
    }


def test_the_environments_share_nothing(workspace: Workspace) -> None:
    for one, other in itertools.combinations([outputs(workspace, environment) for environment in ENVIRONMENTS], 2):
        assert not set(one["buckets"].values()) & set(other["buckets"].values())
        for name in ("temp_location", "service_account_email", "project"):
            assert one["engine_options"][name] != other["engine_options"][name]


def test_production_may_copy_what_pre_production_has(workspace: Workspace) -> None:
    plan = next(iter(workspace.test("environments/preprod").plans.values()))
    readers = {
        change["change"]["after"]["member"]: change["change"]["after"]["role"]
        for change in plan["resource_changes"]
        if ".google_artifact_registry_repository_iam_member.reader[" in change["address"]
    }
    deployer = "serviceAccount:modelfleet-deployer@acme-fleets-prod.iam.gserviceaccount.com"
    assert readers[deployer] == "roles/artifactregistry.reader"

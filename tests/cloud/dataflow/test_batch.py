"""Batch jobs on Dataflow: what is submitted, that it does the work, and that no job runs twice or is left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.engines.launch import run_job
from modelfleet.engines.options import command_line, pipeline_options
from modelfleet.errors import CloudSetupError, DataError, EngineUnavailableError, ModelfleetError
from modelfleet.home import HOME, Home
from modelfleet.loop.whole import STEPS, run_loop
from modelfleet.run import Run
from modelfleet.spec import FleetSpec
from modelfleet.stores.gcs import _client
from modelfleet.stores.opening import open_store
from tests.cloud.dataflow.conftest import OPTIONS
from tests.cloud.dataflow.job_store import Refused
from tests.cloud.dataflow.loopback_google import BUCKET, REGION, Google
from tests.cloud.dataflow.submission import Submission, works

HINTS = {
    "train": {"min_ram": "16GB", "accelerator": "type:nvidia-l4;count:1;install-nvidia-driver:5xx;use_nvidia_mps"},
    "prepare": {"min_ram": "4GB"},
    "score": {"cpu_count": 4},
}


@pytest.fixture
def shops(google: Google, tmp_path: Path) -> FleetSpec:
    """A fleet of three shops: amount = 2 * price."""
    rows = [
        f"{shop},{price},{2 * price + shop_number}" for shop_number, shop in enumerate("abc") for price in range(60)
    ]
    (tmp_path / "sales.csv").write_text("\n".join(["shop,price,amount", *rows]) + "\n")
    return FleetSpec.model_validate(
        {
            "fleet": "shop_sales",
            "entity": "shop",
            "task": "regression",
            "data": {"source": str(tmp_path / "sales.csv"), "target": "amount"},
            "model": {"family": "linear", "min_rows": 5},
            "resources": {"shards": 3, "hints": HINTS},
            "engine": "dataflow",
            "engine_options": {
                **OPTIONS,
                "labels": "team=pricing",
                "experiments": "enable_lightweight_streaming_update",
            },
        }
    )


@pytest.fixture
def run(google: Google, shops: FleetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run on a machine whose folders no worker sees; what is shared lies in a bucket."""
    monkeypatch.setenv(HOME, f"gs://{BUCKET}/home-{tmp_path.name}")
    _client.cache_clear()
    return Run.open(Home.at(tmp_path / "home"), shops, run_id="manual__2026-01-01T00:00:00+00:00")


def launched(run: Run, job: Any) -> None:
    options = pipeline_options(run.spec, job, run.home, run=run.record.run_id)
    run_job(f"beam_jobs.{job}", ["--run", str(run.folder)], options)


def test_the_steps_run_on_dataflow(google: Google, run: Run, tmp_path: Path) -> None:
    works(google, away=[tmp_path / "home", tmp_path / "sales.csv"])
    for step in STEPS[:3]:
        step.run(run)
    assert run.read("train")["models"] == 3
    assert run.read("prepare")["files"] == [str(tmp_path / "sales.csv")]
    assert Bundle.open(run.candidate).sha256 == run.read("train")["bundle_sha256"]
    place = run.workplace().url
    assert place is not None
    folders = [place / each for each in ("prepared", "candidate", "candidate/shards", "candidate/pooled", "inputs")]
    told = [place / "sums", *(place / "sums" / each.text.removeprefix(f"{place}/") for each in folders)]
    left = {str(each): open_store(each).names() for each in (place, *folders, *told)}
    assert not any(left.values()), f"once the candidate is here, nothing is kept there: {left}"
    prepare, train = (Submission(google, job) for job in google.store.created)

    # Nothing told a client of another endpoint, so this is what Google gets
    assert {host.partition(":")[0] for host in google.proxy.hosts} <= {
        f"{name}.googleapis.com" for name in ("dataflow", "iamcredentials", "oauth2", "serviceusage", "storage")
    }
    assert train.pool["kind"] == "harness"

    for job, name in ((prepare, "prepare"), (train, "train")):
        assert re.fullmatch(f"modelfleet-shop-sales-{name}-[0-9a-f]{{8}}", job.job["name"])
        assert job.job["type"] == "JOB_TYPE_BATCH"
        assert job.job["labels"] == {
            "modelfleet_fleet": "shop_sales",
            "modelfleet_job": name,
            "modelfleet_run": "manual__2026-01-01t00_00_00_00_00",
            "team": "pricing",
        }
        assert job.environment["serviceAccountEmail"] == OPTIONS["service_account_email"]
        assert "enable_lightweight_streaming_update" in job.environment["experiments"]
        assert "use_runner_v2" in job.environment["experiments"]
        assert job.environment["tempStoragePrefix"].startswith(f"storage.googleapis.com/{BUCKET}/dataflow/temp/")
        assert job.pool["machineType"] == "n2-standard-2"
        assert job.pool["autoscalingSettings"] == {"algorithm": "AUTOSCALING_ALGORITHM_BASIC", "maxNumWorkers": 4}
        assert job.pool["subnetwork"] == f"regions/{REGION}/subnetworks/modelfleet"
        assert job.pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
        assert {each["containerImage"] for each in job.pool["sdkHarnessContainerImages"]} == {
            OPTIONS["sdk_container_image"]
        }
        # The image has the code; nothing is sent along but a list of what is installed here, for people to read
        assert {package["name"] for package in job.pool["packages"]} == {"submission_environment_dependencies.txt"}
        assert not job.options.get("save_main_session")

    assert prepare.hints("Type rows") == {"min_ram_bytes": "4000000000"}
    assert prepare.hints("Write shards") == {"min_ram_bytes": "4000000000"}
    assert prepare.hints("Write summary") == {}
    assert train.hints("Train and evaluate") == {
        "min_ram_bytes": "16000000000",
        "accelerator": HINTS["train"]["accelerator"],
    }
    assert train.hints("Finish the candidate") == {}


def test_a_launcher_that_is_stopped_cancels_its_job(google: Google, run: Run) -> None:
    options = pipeline_options(run.spec, "prepare", run.home, run=run.record.run_id)
    command = [sys.executable, "-m", "beam_jobs.prepare", "--run", str(run.folder), *command_line(options)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "JOB_STATE_RUNNING" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(30) == 128 + signal.SIGTERM
    (job,) = google.store.jobs
    assert google.store.asked == [(job, "JOB_STATE_CANCELLED")]


def test_what_a_worker_says_of_the_data_is_the_error(google: Google, run: Run, tmp_path: Path) -> None:
    def fail(job: dict[str, Any]) -> None:
        raise RuntimeError(
            "Traceback (most recent call last):\n  File ...\nmodelfleet.errors.DataError: sales.csv: holds no rows "
            "[while running 'Type rows-ptransform-33']"
        )

    google.store.work = fail
    with pytest.raises(DataError, match=r"^sales.csv: holds no rows$"):
        launched(run, "prepare")


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (Refused(403, "no permission"), CloudSetupError),
        (Refused(503, "down"), EngineUnavailableError),
    ],
)
def test_a_refusal_tells_whether_a_retry_may_help(
    google: Google, run: Run, refused: Refused, error: type[ModelfleetError]
) -> None:
    google.store.refuse = refused
    with pytest.raises(error):
        launched(run, "prepare")
    assert google.store.created == []


def test_nothing_is_submitted_where_something_is_missing(google: Google, run: Run) -> None:
    google.rest.apis_off = {"compute.googleapis.com"}
    with pytest.raises(CloudSetupError, match=r"compute\.googleapis\.com"):
        run_loop(run, lambda step: None, lambda report: None)
    assert google.store.created == []


def test_a_batch_job_has_no_template(google: Google, run: Run, tmp_path: Path) -> None:
    template = tmp_path / "job.json"
    options = pipeline_options(run.spec, "prepare", run.home, run=run.record.run_id)
    with pytest.raises(CloudSetupError, match="a batch job has no template"):
        run_job("beam_jobs.prepare", ["--run", str(run.folder)], {**options, "template_location": str(template)})
    assert not template.exists()
    assert google.store.created == []

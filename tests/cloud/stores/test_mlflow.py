"""MLflow whose artifacts are in a bucket, as the Compose file and Terraform set it up: only the server reaches it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from modelfleet.bundles.format import folder_name
from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.reader import Bundle
from modelfleet.data.encode import encode_table
from modelfleet.registry.mlflow import MlflowRegistry
from modelfleet.registry.session import mlflow_session
from tests.cloud.emulators import Emulator
from tests.cloud.mlflow_server import MlflowServer
from tests.registry.conftest import make_bundle, make_report, release_of

BUCKET = "acme-artifacts"
FRAME = pd.DataFrame(
    {"store": ["a", "b", "never seen", "a"], "price": [0.5, -2.0, 1.0, np.nan], "day": ["mon", "sun", None, "mon"],
     "crowd": [1, 2, 3, 4]}
)  # fmt: skip


@pytest.fixture(scope="module")
def other_clients(gcs: Emulator, s3: Emulator) -> dict[str, fs.FileSystem]:
    """Arrow's own clients, which share no code with MLflow's and ours, for a bucket on either side."""
    clients = {
        "gs": fs.GcsFileSystem(anonymous=True, scheme="http", endpoint_override=gcs.address, project_id="acme"),
        "s3": fs.S3FileSystem(
            access_key="key", secret_key="secret", region="us-east-1", scheme="http", endpoint_override=s3.address,
            allow_bucket_creation=True,
        ),
    }  # fmt: skip
    for client in clients.values():
        client.create_dir(BUCKET)
    return clients


@pytest.fixture(scope="module")
def servers(
    gcs: Emulator, s3: Emulator, other_clients: dict[str, fs.FileSystem], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, MlflowServer]]:
    """As Terraform and as the Compose file set MLflow up, begun side by side."""
    assert not {"STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL_S3"} & set(os.environ)
    home = tmp_path_factory.mktemp("mlflow")
    for name in ("key", "secret"):
        (home / name).write_text(f"{name}\n")
    google = {"STORAGE_EMULATOR_HOST": f"http://{gcs.address}", "MLFLOW_SERVE_ARTIFACTS": "true"}
    amazon = {
        "MLFLOW_S3_ENDPOINT_URL": f"http://{s3.address}",
        "MLFLOW_S3_KEY_FILE": str(home / "key"),
        "MLFLOW_S3_SECRET_FILE": str(home / "secret"),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    found = {
        kind: MlflowServer(home / kind, {"MLFLOW_ARTIFACTS": f"{kind}://{BUCKET}/artifacts", **settings})
        for kind, settings in (("gs", google), ("s3", amazon))
    }
    yield found
    for server in found.values():
        server.close()


@pytest.fixture(scope="module")
def bundle(servers: dict[str, MlflowServer], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A fleet of two stores and the pooled model, trained while the servers start."""
    made = make_bundle(tmp_path_factory.mktemp("bundle") / "b")
    return Bundle.open(str(made.path.rename(made.path.with_name(folder_name(made.sha256)))))


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_a_fleet_is_registered_found_in_the_bucket_and_loaded(
    kind: str, servers: dict[str, MlflowServer], bundle: Bundle, other_clients: dict[str, fs.FileSystem]
) -> None:
    servers[kind].wait()
    tracking, other_client = servers[kind].address, other_clients[kind]
    registry = MlflowRegistry(tracking)
    report = make_report()
    logged = registry.log_run(report, bundle)
    registry.reconcile("sales", [release_of(1, logged.model_version)])

    with mlflow_session(tracking):
        import mlflow.pyfunc

        answer = mlflow.pyfunc.load_model("models:/sales@champion").predict(FRAME)
    assert answer["served_by"].tolist() == ["entity", "entity", "pooled", "entity"]
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    own = LoadedBundle(bundle).predict_encoded(lambda s: encode_table(s, table), FRAME["store"].tolist())
    assert np.array_equal(own.values, answer[["probability_no", "probability_yes"]].to_numpy())

    where = fs.FileSelector(f"{BUCKET}/artifacts", recursive=True)
    there = [file.path for file in other_client.get_file_info(where) if file.type == fs.FileType.File]
    for file in (path for path in bundle.path.rglob("*") if path.is_file()):
        (path,) = [each for each in there if each.endswith(f"/{bundle.path.name}/{file.relative_to(bundle.path)}")]
        with other_client.open_input_stream(path) as stream:
            assert stream.read() == file.read_bytes()
    (path,) = [each for each in there if each.endswith("/tables/evaluation.parquet")]
    assert pq.read_table(path, filesystem=other_client).equals(report.evaluation)

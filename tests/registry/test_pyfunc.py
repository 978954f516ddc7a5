"""The MLflow model: it predicts frames of mixed entities, here and where only its requirements are installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelfleet.bundles.format import folder_name
from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.reader import Bundle
from modelfleet.data.encode import encode_table
from modelfleet.errors import BundleError, DataError
from modelfleet.home import Home
from modelfleet.registry.mlflow import MlflowRegistry
from modelfleet.registry.pyfunc import _load_pyfunc
from modelfleet.registry.requirements import requirements
from modelfleet.registry.session import mlflow_session

REPOSITORY = Path(__file__).parents[2]
FRAME = pd.DataFrame(
    {
        "store": ["a", "b", "never seen", "a", None],
        "price": [0.5, -2.0, 1.0, np.nan, 1.0],
        "day": ["mon", "sun", None, "a day nobody knew", "mon"],
        "crowd": [1, 2, 3, 4, 5],
        "something else": [0] * 5,
    },
    index=[10, 11, 12, 13, 14],
)


@pytest.fixture
def named(tmp_path):
    def name(bundle):
        return Bundle.open(bundle.path.rename(tmp_path / folder_name(bundle.sha256)))

    return name


@pytest.fixture
def bundle(bundle_of, named, tmp_path):
    return named(bundle_of(tmp_path / "b"))


def test_a_frame_of_mixed_entities(bundle):
    import pyarrow as pa

    answer = _load_pyfunc(str(bundle.path)).predict(FRAME)
    assert answer.columns.tolist() == [
        "entity", "prediction", "score", "served_by", "probability_no", "probability_yes",
    ]  # fmt: skip
    assert answer.index.tolist() == FRAME.index.tolist()
    assert answer["entity"].tolist() == ["a", "b", "never seen", "a", None]
    assert answer["served_by"].tolist() == ["entity", "entity", "pooled", "entity", "none"]
    known = answer.iloc[:4]
    assert known["score"].tolist() == known["probability_yes"].tolist()
    assert np.allclose(known["probability_no"] + known["probability_yes"], 1)
    assert known["prediction"].tolist() == ["yes" if p > 0.5 else "no" for p in known["probability_yes"]]
    assert answer.iloc[4]["prediction"] is None
    assert answer.iloc[4][["score", "probability_no", "probability_yes"]].isna().all()
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    direct = LoadedBundle(bundle).predict_encoded(lambda s: encode_table(s, table), ["a", "b", "never seen", "a", "?"])
    assert np.array_equal(direct.values[:4], known[["probability_no", "probability_yes"]].to_numpy())


def test_one_entity_does_not_load_the_others_models(bundle, monkeypatch):
    read = []
    original = Bundle.models
    monkeypatch.setattr(Bundle, "models", lambda self, path: read.append(path) or original(self, path))
    model = _load_pyfunc(str(bundle.path))
    everything = LoadedBundle(bundle)
    files = len(read)
    read.clear()
    answer = model.predict(FRAME.iloc[:1])
    assert (len(read), files) == (1, len(bundle.manifest.files))
    assert answer["served_by"].tolist() == ["entity"]
    assert set(everything.entities) == {"a", "b"}


def test_no_rows(bundle):
    answer = _load_pyfunc(str(bundle.path)).predict(FRAME.iloc[:0])
    assert len(answer) == 0
    assert "probability_yes" in answer


def test_frames_that_do_not_fit(bundle):
    model = _load_pyfunc(str(bundle.path))
    with pytest.raises(DataError, match="no column 'store', which says whose a row is; did you mean 'stores'"):
        model.predict(FRAME.rename(columns={"store": "stores"}))
    with pytest.raises(DataError, match="no column 'price'"):
        model.predict(FRAME.drop(columns="price"))
    with pytest.raises(DataError, match="column 'price' is 'cheap'"):
        model.predict(FRAME.assign(price="cheap"))


def test_a_bundle_altered_inside_the_mlflow_model(bundle):
    (bundle.path / "bundle.json").write_text((bundle.path / "bundle.json").read_text() + " ")
    with pytest.raises(BundleError, match="was altered; download the model again"):
        _load_pyfunc(str(bundle.path))


def test_requirements_are_pinned_and_only_what_is_needed(bundle_of, bundle, tmp_path):
    plain = requirements(bundle)
    assert [line.partition("==")[0] for line in plain] == [
        "mlflow", "numpy", "orjson", "pandas", "pyarrow", "pydantic", "ruamel.yaml",
    ]  # fmt: skip
    assert all(line.partition("==")[2] for line in plain)
    estimator = {"estimator": "sklearn.linear_model.LogisticRegression"}
    sklearn = requirements(bundle_of(tmp_path / "sk", family="sklearn", parameters=estimator))
    names = [line.partition("==")[0] for line in sklearn]
    assert {"scikit-learn", "skops"} <= set(names)


LOAD_ELSEWHERE = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/sales@champion")
frame = pd.read_json(sys.stdin, orient="split", dtype=False)
answer = model.predict(frame)
import modelfleet
print(json.dumps({"from": modelfleet.__file__, "answer": json.loads(answer.to_json(orient="split"))}))
"""


@pytest.mark.mlflow
def test_it_loads_where_only_its_requirements_are_installed(
    bundle, bundle_of, named, report_of, release, tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    registry = MlflowRegistry.for_home(Home(tmp_path / "home"))
    kept = registry.log_run(report_of(), bundle)
    registry.reconcile("sales", [release(1, kept.model_version)])
    expected = _load_pyfunc(str(bundle.path)).predict(FRAME)
    with mlflow_session(registry.uri):
        import mlflow

        here = mlflow.pyfunc.load_model("models:/sales@champion").predict(FRAME)
        listed = Path(mlflow.artifacts.download_artifacts("models:/sales@champion/requirements.txt"))
    pd.testing.assert_frame_equal(here, expected)
    assert sorted(listed.read_text().split()) == sorted(requirements(bundle))

    uv = shutil.which("uv") or str(REPOSITORY / ".venv" / "bin" / "uv")
    python = tmp_path / "fresh" / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "--python", "3.11", str(tmp_path / "fresh")], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(python), "-r", str(listed)], check=True)
    done = subprocess.run(
        [python, "-I", "-c", LOAD_ELSEWHERE, registry.uri],
        input=FRAME.to_json(orient="split"), capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert str(REPOSITORY) not in found["from"]
    assert found["answer"] == json.loads(expected.to_json(orient="split"))

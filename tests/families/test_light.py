"""What a serving process or a logged MLflow model has: numpy, pyarrow and pydantic, no scikit-learn and no numba."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from modelfleet.families.catalog import make_family

PROGRAM = """
import sys
for name in ("sklearn", "numba", "scipy", "skops", "pandas"):
    sys.modules[name] = None  # importing it raises
import numpy as np, pyarrow as pa
from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Schema
from modelfleet.families.catalog import make_family
folder, family = sys.argv[1:]
schema = Schema.model_validate_json(open(folder + "/schema.json").read())
models = pa.ipc.open_file(folder + "/models.arrow").read_all()
rows = np.load(folder + "/rows.npz")
predictor = make_family(family, schema, {}).load(models)
found = predictor.predict(EncodedRows(rows["codes"], rows["numbers"]), rows["model"])
np.testing.assert_allclose(found, rows["expected"], rtol=0, atol=1e-15)
print("predicted", len(found))
"""


@pytest.mark.parametrize(("family", "task"), [("tree", "multiclass"), ("logistic", "binary"), ("linear", "regression")])
def test_loads_and_predicts_with_numpy_alone(make_schema, make_shard, make_rows, tmp_path, family, task):
    schema = make_schema(task)
    made = make_family(family, schema, {})
    models = made.fit(make_shard(schema, [50, 70])).models
    with pa.ipc.new_file(tmp_path / "models.arrow", models.schema) as writer:
        writer.write_table(models)
    rows = make_rows(schema, 60, np.random.default_rng(0))
    model = (np.arange(60) % 2).astype(np.int32)
    expected = made.load(models).predict(rows, model)
    np.savez(tmp_path / "rows.npz", codes=rows.codes, numbers=rows.numbers, model=model, expected=expected)
    (tmp_path / "schema.json").write_text(schema.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), family], capture_output=True, text=True, check=False
    )
    assert done.stdout == "predicted 60\n", done.stderr

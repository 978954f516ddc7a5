"""``modelfleet export``, on a release of real models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.reader import Bundle
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from tests.registry.conftest import SCHEMA, make_bundle

if TYPE_CHECKING:
    from conftest import Command

SPEC = "fleet: sales\nentity: store\ntask: binary\ndata:\n  source: sales.csv\n  target: sold\n"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle of two stores' trees, released as generation 1, and the fleet's spec."""
    (tmp_path / "sales.yaml").write_text(SPEC)
    made = make_bundle(tmp_path / "bundle")
    ledger = Ledger(Home(tmp_path / "home").fleet("sales").releases)
    ledger.publish(bundle=BundleRef(uri=str(made.path), sha256=made.sha256), reason="promote", fleet="sales")
    return made


def probabilities(file: Path, rows: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(file.read_bytes()).run(["probabilities"], {"x": rows})[0]


def test_writes_what_serves_an_entity(modelfleet: Command, tmp_path: Path, bundle: Bundle) -> None:
    from modelfleet.data.encoded import EncodedRows

    draw = np.random.default_rng(0)
    rows = EncodedRows(draw.integers(0, 3, (50, 1)).astype(np.int32), draw.normal(size=(50, 2)))
    loaded = LoadedBundle(bundle)
    for entity, served_by in (("a", "entity"), ("b", "entity"), ("nobody knows it", "pooled")):
        ended = modelfleet("export", "sales.yaml", "--entity", entity, "--output", "model.onnx", "--json")
        assert ended.code == 0, ended.err
        assert (ended.json["served_by"], ended.json["family"], ended.json["generation"]) == (served_by, "tree", 1)
        expected = loaded.predict_encoded(lambda schema: rows, [entity] * 50).values
        found = probabilities(tmp_path / "model.onnx", np.hstack([rows.codes, rows.numbers]))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    said = {each.key: each.value for each in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert (said["fleet"], said["served_by"], said["target"]) == ("sales", "pooled", SCHEMA.target)


def test_the_pooled_model_in_words(modelfleet: Command, tmp_path: Path, bundle: Bundle) -> None:
    ended = modelfleet("export", "sales.yaml", "--output", "model.onnx")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("the pooled model of generation 1 (tree, ")
    ended = modelfleet("export", "sales.yaml", "--entity", "x", "--output", "model.onnx")
    assert ended.out.startswith("the pooled model, which serves x, of generation 1")


def test_nothing_released(modelfleet: Command, tmp_path: Path) -> None:
    (tmp_path / "sales.yaml").write_text(SPEC)
    ended = modelfleet("export", "sales.yaml", "--entity", "a", "--output", "model.onnx")
    assert ended.code == 2
    assert "has no release yet" in ended.err
    assert not (tmp_path / "model.onnx").exists()

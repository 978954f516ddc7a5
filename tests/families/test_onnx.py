"""Models brought as ONNX files: what is taken, what is refused and why."""

from __future__ import annotations

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from modelfleet.errors import BundleError, SpecError
from modelfleet.families.catalog import make_family
from modelfleet.families.onnx_sessions import Sessions
from tests.families.signal_model import signal_model


def model_of(nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(constants))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8
    )


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def fit(schema, shard, folder, **parameters):
    family = make_family("onnx", schema, {"models": str(folder), **parameters})
    return family, family.fit(shard)


@pytest.fixture
def one(make_schema, make_shard):
    schema = make_schema("binary")
    return schema, make_shard(schema, [40])


class TestFiles:
    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_a_table_says_whose_each_file_is(self, make_schema, make_shard, tmp_path, ending):
        schema = make_schema("regression")
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / "first.onnx").write_bytes(signal_model(0, 1.0).SerializeToString())
        rows = {"entity": ["e0", "e2"], "file": ["files/first.onnx", "files/absent.onnx"]}
        index = tmp_path / f"index.{ending}"
        if ending == "csv":
            with index.open("w", newline="") as file:
                csv.writer(file).writerows([["entity", "file"], *zip(*rows.values(), strict=True)])
        else:
            pq.write_table(pa.table(rows), index)
        _, fitted = fit(schema, make_shard(schema, [20, 20, 20]), index)
        assert fitted.models["entity"].to_pylist() == ["e0"]
        assert fitted.failures["e1"] == f"{index} has no model for it"
        assert "absent.onnx" in fitted.failures["e2"]

    def test_names_of_files_may_be_percent_encoded(self, one, tmp_path):
        schema, shard = one
        (tmp_path / "north%2Fsouth.onnx").write_bytes(signal_model(2, 1.0).SerializeToString())
        named = type(shard)(("north/south",), shard.bounds, shard.rows, shard.target)
        assert fit(schema, named, tmp_path)[1].failures == {}

    def test_the_pooled_model_has_a_file_of_its_own(self, one, tmp_path):
        schema, shard = one
        data = signal_model(2, 1.0).SerializeToString()
        for name in ("e0.onnx", "all.bin"):
            (tmp_path / name).write_bytes(data)
        pooled = type(shard)(("",), shard.bounds, shard.rows, shard.target)
        assert "has no model for it" in fit(schema, pooled, tmp_path)[1].failures[""]
        assert fit(schema, pooled, tmp_path, pooled=str(tmp_path / "all.bin"))[1].failures == {}

    @pytest.mark.parametrize(
        ("index", "message"),
        [
            ("who,file\ne0,a.onnx\n", "has no column 'entity', only who, file"),
            ("entity,file\ne0,a.onnx\ne0,b.onnx\n", "names entity 'e0' twice"),
            ("entity,file\ne0\n", "is no Parquet or CSV table"),
        ],
    )
    def test_a_table_that_does_not_say_it(self, one, tmp_path, index, message):
        (tmp_path / "index.csv").write_text(index)
        with pytest.raises(SpecError, match=message):
            fit(*one, tmp_path / "index.csv")

    def test_no_folder_and_an_empty_one(self, one, tmp_path):
        with pytest.raises(SpecError, match="does not exist; name a folder, or a table"):
            fit(*one, tmp_path / "nowhere")
        with pytest.raises(SpecError, match=r"has no \*\.onnx file"):
            fit(*one, tmp_path)


class TestModels:
    """Each of these is the failure of its entity, with the reason."""

    def reason(self, one, tmp_path, model, **parameters):
        data = model if isinstance(model, bytes) else model.SerializeToString()
        (tmp_path / "e0.onnx").write_bytes(data)
        fitted = fit(*one, tmp_path, **parameters)[1]
        assert fitted.models.num_rows == 0
        assert fitted.failures["e0"].startswith("e0.onnx: ")
        return fitted.failures["e0"]

    @pytest.mark.parametrize("data", [b"", b"not a model", signal_model(2, 1.0).SerializeToString()[:-20]])
    def test_what_is_no_model(self, one, tmp_path, data):
        assert "it is no ONNX model" in self.reason(one, tmp_path, data)

    def test_tensors_in_other_files(self, one, tmp_path):
        model = signal_model(2, 1.0)
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"
        reason = self.reason(one, tmp_path, model)
        assert "lies in another file" in reason or "it is no ONNX model" in reason

    def test_another_number_of_columns(self, one, tmp_path):
        identity = helper.make_node("Identity", ["x"], ["y"])
        shapes = [value("x", TensorProto.FLOAT, ["n", 7])], [value("y", TensorProto.FLOAT, ["n", 7])]
        reason = self.reason(one, tmp_path, model_of([identity], *shapes))
        assert "its input 'x' has the shape ['n', 7], but gets 5 features" in reason

    def test_another_number_of_classes(self, one, tmp_path):
        reason = self.reason(one, tmp_path, signal_model(3, 1.0))
        assert (
            "its output 'y' has the shape (40, 3) for 40 rows, expected a probability for each of 2 classes" in reason
        )

    def test_what_are_no_probabilities(self, one, tmp_path):
        model = signal_model(2, 1.0)
        softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
        softmax.op_type, softmax.input[:] = "Neg", softmax.input[:1]
        softmax.ClearField("attribute")
        assert "holds no probabilities" in self.reason(one, tmp_path, model)

    def test_predictions_that_are_not_finite(self, make_schema, make_shard, tmp_path):
        schema = make_schema("regression", levels=(), numbers=1)
        shard = make_shard(schema, [30])
        shard.rows.numbers[3] = np.nan
        identity = helper.make_node("Identity", ["x"], ["y"])
        shapes = [value("x", TensorProto.DOUBLE, ["n", 1])], [value("y", TensorProto.DOUBLE, ["n", 1])]
        reason = self.reason((schema, shard), tmp_path, model_of([identity], *shapes))
        assert "predicts numbers that are not finite" in reason

    def test_inputs_and_outputs_that_are_not_named(self, one, tmp_path):
        nodes = [helper.make_node("Add", ["a", "b"], ["y"]), helper.make_node("Sub", ["a", "b"], ["z"])]
        tensors = [value(name, TensorProto.FLOAT, ["n", 2]) for name in "abyz"]
        model = model_of(nodes, tensors[:2], tensors[2:])
        assert "its inputs are ['a', 'b'], but model.parameters.inputs names []" in self.reason(
            one, tmp_path, model, output="y"
        )
        inputs = {"a": ["n0", "n1"], "b": ["n1", "n2"]}
        assert "name the one with the prediction in model.parameters.output" in self.reason(
            one, tmp_path, model, inputs=inputs
        )
        assert "it has no output 'w', only y, z" in self.reason(one, tmp_path, model, inputs=inputs, output="w")
        assert "takes text" not in self.reason(one, tmp_path, model, inputs=inputs, output="y")


def test_inputs_by_name_and_type(make_schema, make_shard, make_rows, tmp_path):
    """A text input, one of whole numbers and one without columns; classes in an order of the model's own."""
    schema = make_schema("binary", levels=(2, 3), numbers=2)
    shard = make_shard(schema, [40])
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["word"],
            ["word_score"],
            domain="ai.onnx.ml",
            keys_strings=["l1"],
            values_floats=[1.0],
            default_float=0.0,
        ),
        helper.make_node("Cast", ["code"], ["code_score"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["word_score", "code_score"], ["some"]),
        helper.make_node("Unsqueeze", ["number", "one"], ["column"]),
        helper.make_node("Add", ["some", "column"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["first"]),
        helper.make_node("Neg", ["score"], ["opposite"]),
        helper.make_node("Sigmoid", ["opposite"], ["second"]),
        helper.make_node("Concat", ["first", "second"], ["p"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array([1]), "one"),
    ]
    inputs = [
        value("word", TensorProto.STRING, ["n", 1]),
        value("code", TensorProto.INT64, ["n", 1]),
        value("number", TensorProto.FLOAT, ["n"]),
    ]
    model = model_of(nodes, inputs, [value("p", TensorProto.FLOAT, ["n", 2])], constants)
    (tmp_path / "e0.onnx").write_bytes(model.SerializeToString())
    family, fitted = fit(
        schema,
        shard,
        tmp_path,
        inputs={"word": ["c0"], "code": ["c1"], "number": ["n1"]},
        classes=["yes", "no"],
    )
    assert fitted.failures == {}
    rows = make_rows(schema, 50, np.random.default_rng(0), unseen=0.2)
    found = family.load(fitted.models).predict(rows, np.zeros(50, dtype=np.int32))
    score = (rows.codes[:, 0] == 2) + rows.codes[:, 1] + rows.numbers[:, 1].astype(np.float32)
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-score)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "models: family 'onnx' needs it"),
        ({"models": "m", "inputs": {"x": ["n7"]}}, "has no feature 'n7'; valid are: c0, c1, n0"),
        ({"models": "m", "classes": ["no", "yea"]}, "no class 'yea'; did you mean 'yes'"),
        ({"models": "m", "classes": ["no", "no"]}, "named twice"),
    ],
)
def test_wrong_parameters(make_schema, parameters, message):
    with pytest.raises(SpecError, match=message):
        make_family("onnx", make_schema("binary"), parameters)


def test_only_so_many_models_are_kept_ready(make_schema, make_shard):
    blobs = [signal_model(0, float(sign)).SerializeToString() for sign in range(4)]
    sessions = Sessions(blobs, most=2)
    first = sessions.get(0)
    sessions.get(1)
    assert sessions.get(0) is first
    sessions.get(2)  # the least recently used is 1
    assert len(sessions) == 2
    assert sessions.get(0) is first


def test_loading_needs_no_files(one, tmp_path):
    schema, shard = one
    (tmp_path / "e0.onnx").write_bytes(signal_model(2, 1.0).SerializeToString())
    _, fitted = fit(schema, shard, tmp_path)
    (tmp_path / "e0.onnx").unlink()
    elsewhere = make_family("onnx", schema, {"models": str(tmp_path)})
    assert elsewhere.load(fitted.models).predict(shard.rows, np.zeros(40, dtype=np.int32)).shape == (40, 2)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_damaged_bytes_are_refused_or_answer(one, brought_models, changes, cut):
    schema, shard = one
    family, fitted = fit(schema, shard, brought_models("binary"))
    data = bytearray(fitted.models["model"][0].as_py())
    for place, byte in changes:
        data[place % len(data)] = byte
    data = bytes(data[: len(data) - (changes[0][1] if cut else 0)])
    try:
        predictor = family.load(fitted.models.set_column(1, "model", pa.array([data], pa.large_binary())))
        found = predictor.predict(shard.rows, np.zeros(40, dtype=np.int32))
    except BundleError:
        return
    assert found.shape == (40, 2)

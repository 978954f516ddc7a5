"""What every family must do, whatever it is: the same tests for each, for each task it can do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from modelfleet.errors import BundleError, SpecError
from modelfleet.families.base import ENTITY, Family, TrainingShard
from modelfleet.families.catalog import family_names, make_family

CASES = [
    ("tree", "binary", {}),
    ("tree", "multiclass", {"class_weight": "balanced"}),
    ("tree", "regression", {"max_depth": 4}),
    ("logistic", "binary", {}),
    ("logistic", "multiclass", {"C": 0.5, "class_weight": "balanced"}),
    ("linear", "regression", {}),
    ("sklearn", "binary", {"estimator": "sklearn.naive_bayes.GaussianNB"}),
    (
        "sklearn",
        "multiclass",
        {"estimator": "sklearn.ensemble.RandomForestClassifier", "arguments": {"n_estimators": 3}},
    ),
    ("sklearn", "regression", {"estimator": "sklearn.linear_model.Ridge"}),
    ("torch", "binary", {"hidden": [12], "epochs": 60}),
    ("torch", "multiclass", {"hidden": [8, 5], "activation": "tanh", "epochs": 60, "entities_per_step": 2}),
    ("torch", "regression", {"hidden": [], "epochs": 200}),
    ("xgboost", "binary", {}),
    ("xgboost", "multiclass", {"class_weight": "balanced", "subsample": 0.8}),
    ("xgboost", "regression", {"categories": "ordinal"}),
    ("onnx", "binary", {}),
    ("onnx", "multiclass", {}),
    ("onnx", "regression", {}),
]
BROUGHT = {"onnx"}
"""Families whose models do not depend on the rows they are fitted on; theirs are written by a fixture."""


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request, brought_models):
    family, task, parameters = request.param
    return (family, task, {"models": brought_models(task)} if family in BROUGHT else parameters)


@pytest.fixture
def schema(case, make_schema):
    return make_schema(case[1])


@pytest.fixture
def family(case, schema):
    return make_family(case[0], schema, case[2], seed=3)


def predict(family, models, rows, model):
    return family.load(models).predict(rows, np.asarray(model, dtype=np.int32))


def test_every_family_is_in_this_suite():
    assert {name for name, _, _ in CASES} == set(family_names())


def test_is_a_family(family):
    assert isinstance(family, Family)


def test_fits_one_model_per_entity_in_order(family, schema, make_shard):
    shard = make_shard(schema, [40, 60, 25])
    fitted = family.fit(shard)
    assert fitted.failures == {}
    assert fitted.models.column_names[0] == ENTITY
    assert fitted.models[ENTITY].to_pylist() == ["e0", "e1", "e2"]


def test_predicts_shapes_and_probabilities(family, schema, make_shard, make_rows):
    fitted = family.fit(make_shard(schema, [40, 60, 25]))
    rows = make_rows(schema, 500, np.random.default_rng(1))
    values = predict(family, fitted.models, rows, np.arange(500) % 3)
    assert values.shape == (500, schema.outputs)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    if schema.classes:
        assert (values >= 0).all()
        np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-12)


def test_learns_something(family, schema, make_shard):
    shard = make_shard(schema, [400])
    values = predict(family, family.fit(shard).models, shard.rows, np.zeros(400))
    if schema.classes:
        share = np.bincount(shard.target.astype(int)).max() / 400
        assert (values.argmax(axis=1) == shard.target).mean() > share + 0.1
    else:
        assert np.abs(values[:, 0] - shard.target).mean() < 0.9 * np.abs(shard.target - shard.target.mean()).mean()


def test_each_row_is_predicted_by_its_own_model(family, schema, make_shard, make_rows):
    fitted = family.fit(make_shard(schema, [40, 60, 25]))
    rows = make_rows(schema, 90, np.random.default_rng(2))
    model = np.arange(90) % 3
    together = predict(family, fitted.models, rows, model)
    for which in range(3):
        alone = predict(family, fitted.models.slice(which, 1), rows.take(np.flatnonzero(model == which)), np.zeros(30))
        np.testing.assert_allclose(together[model == which], alone, rtol=0, atol=1e-12)


def test_an_entity_is_fitted_alike_alone_and_among_others(family, schema, make_shard):
    shard = make_shard(schema, [40, 60, 25])
    alone = TrainingShard(("e1",), np.array([0, 60]), shard.rows.take(slice(40, 100)), shard.target[40:100])
    assert family.fit(alone).models.equals(family.fit(shard).models.slice(1, 1).combine_chunks())


def test_fitting_again_gives_equal_bytes(case, family, schema, make_shard):
    shard = make_shard(schema, [40, 60, 25], missing=0.1)
    again = make_family(case[0], schema, case[2], seed=3).fit(shard).models
    assert family.fit(shard).models.equals(again)


def test_tables_can_be_taken_and_joined(family, schema, make_shard, make_rows):
    fitted = family.fit(make_shard(schema, [40, 60, 25, 30]))
    rows = make_rows(schema, 40, np.random.default_rng(3))
    model = np.arange(40) % 4
    order = np.array([2, 0, 3, 1])
    place = np.argsort(order)
    taken = fitted.models.take(pa.array(order))
    joined = pa.concat_tables([taken.slice(0, 1), taken.slice(1, 3)])
    expected = predict(family, fitted.models, rows, model)
    np.testing.assert_array_equal(expected, predict(family, taken, rows, place[model]))
    np.testing.assert_array_equal(expected, predict(family, joined, rows, place[model]))
    sliced = predict(family, fitted.models.slice(1, 2), rows, np.ones(40))
    np.testing.assert_array_equal(sliced, predict(family, fitted.models, rows, np.full(40, 2)))


def test_survives_a_file(family, schema, make_shard, make_rows, tmp_path):
    models = family.fit(make_shard(schema, [40, 25])).models
    path = tmp_path / "models.arrow"
    with pa.ipc.new_file(path, models.schema) as writer:
        writer.write_table(models)
    with pa.memory_map(str(path)) as source:
        loaded = pa.ipc.open_file(source).read_all()
        rows = make_rows(schema, 20, np.random.default_rng(3))
        np.testing.assert_array_equal(
            predict(family, models, rows, np.arange(20) % 2), predict(family, loaded, rows, np.arange(20) % 2)
        )


def test_unseen_levels_and_missing_values_are_predicted(family, schema, make_shard, make_rows):
    fitted = family.fit(make_shard(schema, [40, 60]))
    rows = make_rows(schema, 200, np.random.default_rng(4), missing=0.3, unseen=0.3)
    values = predict(family, fitted.models, rows, np.arange(200) % 2)
    assert np.isfinite(values).all()


def test_missing_values_are_fitted(family, schema, make_shard):
    shard = make_shard(schema, [80, 60], missing=0.3)
    shard.rows.numbers[:80, 1] = np.nan  # a column one entity has no value of
    shard.rows.codes[::7, 0] = -1  # a level that was capped away
    fitted = family.fit(shard)
    assert fitted.failures == {}
    values = predict(family, fitted.models, shard.rows, np.repeat([0, 1], [80, 60]))
    assert np.isfinite(values).all()


def test_columns_without_a_value_or_with_one_only(family, schema, make_shard, make_rows):
    shard = make_shard(schema, [80, 60])
    shard.rows.codes[:, 0] = 0  # missing in every row
    shard.rows.codes[:, 1] = 2
    shard.rows.numbers[:, 1] = np.nan
    shard.rows.numbers[:, 2] = -3.5
    fitted = family.fit(shard)
    assert fitted.failures == {}
    rows = make_rows(schema, 100, np.random.default_rng(6), missing=0.3, unseen=0.3)
    values = predict(family, fitted.models, rows, np.arange(100) % 2)
    assert np.isfinite(values).all()


def test_numbers_of_any_size_are_taken(family, schema, make_shard):
    shard = make_shard(schema, [60])
    shard.rows.numbers[:, 1] *= 1e300
    shard.rows.numbers[::5, 2] = np.inf
    shard.rows.numbers[1::5, 2] = -np.inf
    fitted = family.fit(shard)
    assert fitted.failures == {}
    assert np.isfinite(predict(family, fitted.models, shard.rows, np.zeros(60))).all()


def test_one_row_is_a_model_or_a_failure_with_a_reason(family, schema, make_shard):
    shard = make_shard(schema, [1, 50])
    fitted = family.fit(shard)
    assert "e1" in fitted.models[ENTITY].to_pylist()
    assert set(fitted.models[ENTITY].to_pylist()) | set(fitted.failures) == {"e0", "e1"}
    for reason in fitted.failures.values():
        assert "1 training row" in reason


def test_an_entity_without_rows_is_a_failure(family, schema, make_shard):
    fitted = family.fit(make_shard(schema, [30, 0, 30]))
    assert fitted.models[ENTITY].to_pylist() == ["e0", "e2"]
    assert fitted.failures == {"e1": "it has no training rows"}


def test_no_entities_at_all(family, schema, make_shard, make_rows):
    fitted = family.fit(make_shard(schema, []))
    assert fitted.models.num_rows == 0
    assert fitted.models.schema.equals(family.fit(make_shard(schema, [30])).models.schema)
    rows = make_rows(schema, 0, np.random.default_rng(0))
    assert predict(family, fitted.models, rows, []).shape == (0, schema.outputs)


@pytest.mark.parametrize(("levels", "numbers"), [((), 2), ((3,), 0)])
def test_categories_only_and_numbers_only(case, make_schema, make_shard, levels, numbers):
    schema = make_schema(case[1], levels=levels, numbers=numbers)
    family = make_family(case[0], schema, case[2])
    shard = make_shard(schema, [60, 50])
    fitted = family.fit(shard)
    assert fitted.failures == {}
    assert np.isfinite(predict(family, fitted.models, shard.rows, np.repeat([0, 1], [60, 50]))).all()


def test_classes_an_entity_never_had_get_no_probability(family, schema, make_shard):
    if len(schema.classes) < 3:
        return  # with two classes an entity that has one is the case below
    if family.name in BROUGHT:
        return
    shard = make_shard(schema, [60])
    shard.target[shard.target == 1] = 2.0
    values = predict(family, family.fit(shard).models, shard.rows, np.zeros(60))
    assert (values[:, 1] == 0).all()
    np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-12)


def test_one_class_is_a_model_or_a_failure_with_a_reason(family, schema, make_shard):
    if not schema.classes or family.name in BROUGHT:
        return
    shard = make_shard(schema, [40, 50])
    shard.target[:40] = 1.0
    fitted = family.fit(shard)
    assert set(fitted.models[ENTITY].to_pylist()) | set(fitted.failures) == {"e0", "e1"}
    if "e0" in fitted.failures:
        assert "class" in fitted.failures["e0"]
    else:
        assert (predict(family, fitted.models, shard.rows, np.zeros(90))[:40].argmax(axis=1) == 1).all()


def test_unknown_parameters_name_the_nearest(case, schema):
    known = {
        "tree": "max_depth", "logistic": "C", "linear": "alpha", "sklearn": "estimator", "torch": "hidden",
        "xgboost": "rounds", "onnx": "inputs",
    }[case[0]]  # fmt: skip
    wrong = f"{known}x"
    with pytest.raises(SpecError, match=f"'{case[0]}' has no '{wrong}'"):
        make_family(case[0], schema, {**case[2], wrong: 1})


def test_a_table_without_its_columns_is_refused(family, schema, make_shard):
    models = family.fit(make_shard(schema, [30])).models
    for name in models.column_names[1:]:
        with pytest.raises(BundleError, match=f"no column '{name}'"):
            family.load(models.drop_columns([name]))


def test_a_table_of_another_schema_is_refused(case, family, schema, make_schema, make_shard):
    models = family.fit(make_shard(schema, [80])).models
    smaller = make_family(case[0], make_schema(case[1], levels=(), numbers=1), case[2])
    with pytest.raises(BundleError):
        smaller.load(models)

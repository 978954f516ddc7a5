from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import all_estimators

from modelfleet.errors import BundleError, SpecError
from modelfleet.families import skops_blob
from modelfleet.families.catalog import make_family
from modelfleet.families.trusted_types import TRUSTED_TYPES

FOREST = {"estimator": "sklearn.ensemble.RandomForestClassifier", "arguments": {"n_estimators": 3}}


@pytest.mark.parametrize(
    ("task", "parameters", "message"),
    [
        ("binary", {}, "needs it"),
        ("binary", {"estimator": "RandomForestClassifier"}, "is not an import path"),
        (
            "binary",
            {"estimator": "sklearn.ensemble.RandomForestClasifier"},
            r"did you mean 'sklearn.ensemble.RandomFor",
        ),
        ("binary", {"estimator": "sklearn.RandomForestClassifier"}, r"did you mean 'sklearn.ensemble.RandomForestC"),
        ("binary", {"estimator": "nowhere.at.All"}, "cannot be imported"),
        ("binary", {"estimator": "os.system"}, "is not a class derived from sklearn.base.BaseEstimator"),
        ("binary", {"estimator": "pathlib.Path"}, "is not a class derived from sklearn.base.BaseEstimator"),
        ("binary", {"estimator": "sklearn.preprocessing.StandardScaler"}, "has no fit and predict"),
        ("binary", {"estimator": "sklearn.linear_model.Ridge"}, "is no classifier"),
        ("regression", FOREST, "is no regressor"),
        ("binary", {**FOREST, "arguments": {"n_estimator": 3}}, "did you mean 'n_estimators'"),
        ("binary", {**FOREST, "arguments": {"n_estimators": "three"}}, "n_estimators"),
        ("binary", {**FOREST, "parameters": {"n_estimators": 3}}, "has no 'parameters'"),
        ("binary", {**FOREST, "numbers": "robust"}, "numbers: is 'robust'"),
    ],
)
def test_wrong_parameters(make_schema, task, parameters, message):
    with pytest.raises(SpecError, match=message):
        make_family("sklearn", make_schema(task), parameters)


def test_classifiers_without_probabilities_say_zero_or_one(make_schema, make_shard):
    schema = make_schema("multiclass")
    shard = make_shard(schema, [80])
    family = make_family("sklearn", schema, {"estimator": "sklearn.linear_model.RidgeClassifier"})
    values = family.load(family.fit(shard).models).predict(shard.rows, np.zeros(80, dtype=np.int32))
    assert set(values.ravel()) == {0.0, 1.0}
    assert (values.sum(axis=1) == 1).all()


def test_what_an_estimator_raises_is_the_entitys_failure(make_schema, make_shard):
    schema = make_schema("binary")
    neighbours = {"estimator": "sklearn.neighbors.KNeighborsClassifier", "arguments": {"n_neighbors": 5}}
    balanced = {"estimator": "sklearn.linear_model.LogisticRegression"}
    shard = make_shard(schema, [40, 40])
    shard.target[:40] = 1.0
    fitted = make_family("sklearn", schema, balanced).fit(shard)
    assert fitted.models["entity"].to_pylist() == ["e1"]
    assert fitted.failures["e0"].startswith("LogisticRegression failed on 40 training rows: ")
    assert make_family("sklearn", schema, neighbours).fit(shard).failures == {}


def test_targets_that_are_no_numbers_are_the_entitys_failure(make_schema, make_shard):
    schema = make_schema("regression")
    shard = make_shard(schema, [30, 30])
    shard.target[3] = np.inf
    fitted = make_family("sklearn", schema, {"estimator": "sklearn.linear_model.Ridge"}).fit(shard)
    assert fitted.failures == {"e0": "1 of its 30 training targets are not finite numbers"}
    assert fitted.models["entity"].to_pylist() == ["e1"]


def test_missing_numbers_reach_only_estimators_that_take_them(make_schema, make_shard):
    schema = make_schema("binary")
    shard = make_shard(schema, [60], missing=0.2)
    boosting = {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "arguments": {"max_iter": 5}}
    family = make_family("sklearn", schema, boosting | {"impute": "none", "numbers": "none"})
    fitted = family.fit(shard)
    assert fitted.failures == {}
    assert np.isfinite(family.load(fitted.models).predict(shard.rows, np.zeros(60, dtype=np.int32))).all()
    logistic = {"estimator": "sklearn.linear_model.LogisticRegression", "impute": "none"}
    fitted = make_family("sklearn", schema, logistic).fit(shard)
    assert fitted.failures["e0"].startswith("LogisticRegression failed on 60 training rows: Input X contains NaN")


def test_blas_keeps_to_one_thread_until_the_last_fit_ends():
    from threadpoolctl import threadpool_info

    from modelfleet.families.one_thread import one_thread

    def threads():
        return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    before = threads()
    first, second = one_thread("sklearn"), one_thread("sklearn")
    first.__enter__()
    second.__enter__()
    assert set(threads().values()) == {1}
    first.__exit__(None, None, None)  # the first to come is not the last to leave
    assert set(threads().values()) == {1}
    second.__exit__(None, None, None)
    assert threads() == before


class Runs:
    """What a forged blob would like to be loaded as."""

    ran = False

    def __setstate__(self, state):
        Runs.ran = True


def forged(models, blob):
    return models.set_column(1, "estimator", pa.array([blob], pa.large_binary()))


def fitted_forest(make_schema, make_shard):
    schema = make_schema("binary")
    family = make_family("sklearn", schema, FOREST)
    return family, family.fit(make_shard(schema, [40])).models


def test_types_that_are_not_trusted_are_refused_and_not_loaded(make_schema, make_shard):
    family, models = fitted_forest(make_schema, make_shard)
    bad = Runs()
    bad.state = 1
    with pytest.raises(BundleError, match=r"entity 'e0' holds types that are not trusted: .*Runs"):
        family.load(forged(models, skops.io.dumps(bad)))
    assert not Runs.ran


def test_a_blob_that_names_a_function_of_the_system_is_refused(make_schema, make_shard):
    family, models = fitted_forest(make_schema, make_shard)
    blob = skops.io.dumps(FunctionTransformer(func=print))
    text = zipfile.ZipFile(io.BytesIO(blob)).read("schema.json").decode()
    assert '"print"' in text
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("schema.json", text.replace('"print"', '"system"').replace('"builtins"', '"os"', 1))
    with pytest.raises(BundleError, match="entity 'e0'"):
        family.load(forged(models, target.getvalue()))
    with pytest.raises(BundleError, match=r"not trusted: builtins\.print"):
        family.load(forged(models, blob))


@pytest.mark.parametrize("blob", [b"", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_a_damaged_blob_is_refused(make_schema, make_shard, blob):
    family, models = fitted_forest(make_schema, make_shard)
    with pytest.raises(BundleError, match="the estimator of entity 'e0' cannot be loaded"):
        family.load(forged(models, blob))


def test_what_is_no_estimator_is_refused(make_schema, make_shard):
    family, models = fitted_forest(make_schema, make_shard)
    with pytest.raises(BundleError, match="is a list, no estimator"):
        family.load(forged(models, skops.io.dumps([1, 2])))


def test_trusted_types_of_the_spec_are_loaded(make_schema, make_shard):
    blob = skops.io.dumps(FunctionTransformer(func=print))
    with pytest.raises(BundleError):
        skops_blob.load(blob, (), "e0")
    assert isinstance(skops_blob.load(blob, ("builtins.print",), "e0"), FunctionTransformer)


def test_a_stored_estimator_has_no_pickle_and_no_clock(make_schema, make_shard):
    _, models = fitted_forest(make_schema, make_shard)
    archive = zipfile.ZipFile(io.BytesIO(models["estimator"][0].as_py()))
    assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert all(name == "schema.json" or name.endswith(".npy") for name in archive.namelist())
    assert json.loads(archive.read("schema.json"))["__class__"] == "RandomForestClassifier"


SKIPPED = {
    "CCA", "ClassifierChain", "FixedThresholdClassifier", "IsotonicRegression", "MultiOutputClassifier",
    "MultiOutputRegressor", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV",
    "NuSVC", "OneVsOneClassifier", "OneVsRestClassifier", "OutputCodeClassifier", "PLSCanonical", "RegressorChain",
    "SelfTrainingClassifier", "StackingClassifier", "StackingRegressor", "TunedThresholdClassifierCV",
    "VotingClassifier", "VotingRegressor",
}  # fmt: skip
"""They need another estimator, or another shape of data than a fleet has."""


@pytest.mark.filterwarnings("ignore")  # estimators on sixty rows of noise have much to warn of
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_the_allow_list_holds_all_that_fitted_estimators_hold(kind):
    rng = np.random.default_rng(0)
    columns = rng.random((60, 4))
    target = (columns[:, 0] > 0.5).astype(int) if kind == "classifier" else columns @ [1.0, 2.0, 3.0, 4.0] + 1.0
    missing = {}
    for name, estimator in all_estimators(type_filter=kind):
        if name in SKIPPED:
            continue
        blob = skops_blob.dump(estimator().fit(columns, target))
        refused = set(skops.io.get_untrusted_types(data=blob)) - TRUSTED_TYPES
        if refused:
            missing[name] = refused
    assert missing == {}

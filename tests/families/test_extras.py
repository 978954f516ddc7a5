"""What a family says where its library is not installed."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from modelfleet.errors import MissingExtraError, SpecError
from modelfleet.families import catalog
from modelfleet.families.catalog import make_family


@pytest.mark.parametrize(
    ("family", "library", "parameters", "extra"),
    [
        ("sklearn", "sklearn.base", {"estimator": "sklearn.linear_model.LogisticRegression"}, "sklearn"),
        ("xgboost", "xgboost", {}, "xgboost"),
        ("onnx", "onnx", {"models": "m"}, "onnx"),
        ("onnx", "onnxruntime", {"models": "m"}, "onnx"),
    ],
)
def test_the_extra_that_brings_the_library_is_named(make_schema, monkeypatch, family, library, parameters, extra):
    monkeypatch.setitem(sys.modules, library, None)  # importing it raises
    with pytest.raises(MissingExtraError, match=rf"pip install 'modelfleet\[{extra}\]'"):
        make_family(family, make_schema("binary"), parameters)


@pytest.mark.parametrize(
    ("family", "library", "parameters"),
    [
        ("sklearn", "skops.io", {"estimator": "sklearn.linear_model.LogisticRegression"}),
        ("sklearn", "threadpoolctl", {"estimator": "sklearn.linear_model.LogisticRegression"}),
        ("xgboost", "threadpoolctl", {}),
    ],
)
def test_a_library_needed_later_is_named_too(make_schema, make_shard, monkeypatch, family, library, parameters):
    schema = make_schema("binary")
    made = make_family(family, schema, parameters)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"modelfleet\[{family}\]"):
        made.fit(make_shard(schema, [30]))


def test_an_installed_packages_family_names_its_own_library(make_schema, monkeypatch):
    point = EntryPoint("theirs", "no_such_package.family:Theirs", catalog.GROUP)
    monkeypatch.setattr(catalog, "entry_points", lambda group: [point])
    with pytest.raises(SpecError, match=r"'theirs' .* needs 'no_such_package', which is not installed"):
        make_family("theirs", make_schema("binary"), {})


def test_every_extra_named_exists():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(catalog.EXTRAS.values()) <= set(project["optional-dependencies"])
    assert project["entry-points"][catalog.GROUP] == catalog.BUILT_IN


def test_xgboost_is_bound_to_the_package_it_came_from(make_schema):
    from modelfleet.bundles.libraries import libraries_of

    libraries = libraries_of(make_family("xgboost", make_schema("binary"), {}))
    assert set(libraries) <= {"xgboost", "xgboost-cpu"}
    assert len(libraries) == 1

"""Every way to damage a bundle ends in a BundleError that says what is wrong and what to do."""

from __future__ import annotations

import hashlib
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.reader import Bundle
from modelfleet.errors import BundleError


@pytest.fixture
def bundle(constant, tmp_path):
    return constant.write_bundle(tmp_path / "b", {0: {"a": 1.0, "b": 2.0}, 1: {"c": 3.0}}, pooled=9.0)


def resign(bundle, change):
    """Alter bundle.json as somebody would who can compute a hash."""
    document = json.loads((bundle.path / "bundle.json").read_bytes())
    change(document)
    (bundle.path / "bundle.json").write_text(json.dumps(document))


def resign_file(bundle, path, data):
    (bundle.path / path).write_bytes(data)

    def change(document):
        for part in [*document["files"], document["index"]]:
            if part["path"] == path:
                part.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    resign(bundle, change)


def test_missing_folder(tmp_path):
    with pytest.raises(BundleError, match=r"bundle\.json: cannot be read .*modelfleet rollback"):
        Bundle.open(tmp_path / "nowhere")


def test_unfinished_bundle(constant, tmp_path):
    constant.write_bundle(tmp_path / "b", {0: {"a": 1.0}})
    (tmp_path / "b" / "bundle.json").unlink()
    with pytest.raises(BundleError, match="no complete bundle"):
        Bundle.open(tmp_path / "b")


def test_wrong_hash(bundle):
    with pytest.raises(BundleError, match=f"sha256 is {bundle.sha256}, expected 000"):
        Bundle.open(bundle.path, sha256="0" * 64)


@pytest.mark.parametrize("verify", [True, False])
def test_every_file_truncated_altered_or_missing(bundle, verify):
    parts = [*bundle.manifest.files, bundle.manifest.index]
    assert len(parts) == 4
    for part in parts:
        file = bundle.path / part.path
        good = file.read_bytes()
        flipped = bytearray(good)
        flipped[len(good) // 2] ^= 1
        for bad, message in (
            (good[:-10], f"{len(good) - 10} bytes, expected {len(good)}"),
            (good + b"x", f"{len(good) + 1} bytes, expected {len(good)}"),
            (bytes(flipped), "sha256 is .*, expected"),
            (None, "cannot be read"),
        ):
            file.unlink() if bad is None else file.write_bytes(bad)
            with pytest.raises(BundleError, match=message) as caught:
                LoadedBundle(Bundle.open(bundle.path, sha256=bundle.sha256, verify=verify))
            assert str(file) in str(caught.value)
            assert "modelfleet rollback" in str(caught.value)
            file.write_bytes(good)
    assert LoadedBundle(Bundle.open(bundle.path, sha256=bundle.sha256, verify=verify)).entities


@settings(max_examples=60)
@given(data=st.data())
def test_any_damage_to_any_byte_is_found(bundle, data):
    files = ["bundle.json", "index.parquet", *[f.path for f in bundle.manifest.files]]
    name = data.draw(st.sampled_from(files))
    file = bundle.path / name
    good = file.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = data.draw(
        st.sampled_from([good[:at], good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]])
    )
    file.write_bytes(bad)
    try:
        with pytest.raises(BundleError):
            LoadedBundle(Bundle.open(bundle.path, sha256=bundle.sha256, verify=False))
    finally:
        file.write_bytes(good)


@settings(max_examples=100)
@given(
    text=st.one_of(
        st.binary(max_size=50),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["format", "files", "x"]), inner)
            ),
            max_leaves=5,
        ).map(lambda v: json.dumps(v).encode()),
    )
)
def test_no_manifest_crashes_the_reader(bundle, text):
    good = (bundle.path / "bundle.json").read_bytes()
    (bundle.path / "bundle.json").write_bytes(text)
    try:
        with pytest.raises(BundleError):
            Bundle.open(bundle.path)
    finally:
        (bundle.path / "bundle.json").write_bytes(good)


@pytest.mark.parametrize("number", [None, 0, 2, "1", [1]])
def test_unknown_format(bundle, number):
    resign(bundle, lambda d: d.update(format=number))
    with pytest.raises(BundleError, match=r"bundle format .*, this version reads 1: use the modelfleet that wrote it"):
        Bundle.open(bundle.path)


@pytest.mark.parametrize(
    "path",
    ["../outside.arrow", "/etc/passwd", "shards/../../x.arrow", "shards/a/b.arrow", "x.arrow", "shards/x.arrow\n"],
)
def test_a_path_cannot_leave_the_folder(bundle, path):
    shutil.copy(bundle.path / bundle.manifest.files[0].path, bundle.path.parent / "outside.arrow")
    resign(bundle, lambda d: d["files"][0].update(path=path))
    with pytest.raises(BundleError, match=r"files\.0\.path is"):
        Bundle.open(bundle.path)


def test_a_link_is_no_bundle_file(bundle):
    file = bundle.path / bundle.manifest.files[0].path
    file.rename(bundle.path.parent / "elsewhere.arrow")
    file.symlink_to(bundle.path.parent / "elsewhere.arrow")
    with pytest.raises(BundleError, match="is a link"):
        Bundle.open(bundle.path)


def test_schema_that_is_not_what_its_fingerprint_says(bundle):
    def change(document):
        (schema,) = document["schemas"].values()
        schema["features"][0]["name"] = "other"

    resign(bundle, change)
    with pytest.raises(BundleError, match="has the fingerprint"):
        Bundle.open(bundle.path)


def test_schema_missing_and_task_mismatch(bundle):
    good = (bundle.path / "bundle.json").read_bytes()
    resign(bundle, lambda d: d["schemas"].clear())
    with pytest.raises(BundleError, match=r"needs schema .* which the bundle lacks"):
        Bundle.open(bundle.path)
    (bundle.path / "bundle.json").write_bytes(good)
    resign(bundle, lambda d: d.update(task="binary"))
    with pytest.raises(BundleError, match="is for regression, the fleet's task is binary"):
        Bundle.open(bundle.path)


def test_manifest_that_tells_another_family_than_the_file(bundle):
    resign(bundle, lambda d: d["files"][0].update(family="bound"))
    with pytest.raises(BundleError, match=r"family is 'constant' in the file, 'bound' in bundle.json"):
        LoadedBundle(Bundle.open(bundle.path))


def test_a_file_that_is_no_arrow_file(bundle):
    resign_file(bundle, bundle.manifest.files[0].path, b"ARROW1 this is not one")
    with pytest.raises(BundleError, match="not a readable Arrow file"):
        LoadedBundle(Bundle.open(bundle.path))


def test_an_index_that_points_elsewhere(bundle):
    def with_column(name, values):
        at = bundle.index.column_names.index(name)
        sink = pa.BufferOutputStream()
        pq.write_table(bundle.index.set_column(at, name, pa.array(values, bundle.index.schema.field(name).type)), sink)
        resign_file(bundle, "index.parquet", sink.getvalue().to_pybytes())

    with_column("row", [0, 7, 0])
    with pytest.raises(BundleError, match=r"points at rows 0 to 7 of .* which has 2"):
        Bundle.open(bundle.path)
    with_column("entity", ["a", "a", "c"])
    with pytest.raises(BundleError, match="listed twice"):
        Bundle.open(bundle.path)
    with_column("row", [1, 0, 0])
    with pytest.raises(BundleError, match=r"says entity 'a' is in .* another entity's model"):
        LoadedBundle(Bundle.open(bundle.path))
    with_column("path", ["shards/x.arrow"] * 3)
    with pytest.raises(BundleError, match="points at rows"):
        Bundle.open(bundle.path)
    resign_file(bundle, "index.parquet", b"PAR1 no")
    with pytest.raises(BundleError, match="not a readable Parquet file"):
        Bundle.open(bundle.path)


def test_a_pooled_model_that_is_not_there(bundle):
    resign(bundle, lambda d: d["pooled"].update(row=1))
    with pytest.raises(BundleError, match="pooled model is row 1"):
        Bundle.open(bundle.path)


def test_a_family_nobody_has_here(bundle, monkeypatch):
    from modelfleet.families import catalog

    monkeypatch.delitem(catalog.BUILT_IN, "constant")
    with pytest.raises(BundleError, match="there is no family 'constant'"):
        LoadedBundle(Bundle.open(bundle.path))


def test_libraries_of_another_series(constant, tmp_path, monkeypatch):
    bundle = constant.write_bundle(tmp_path / "b", {0: {"a": 1.0}}, family="bound")
    assert LoadedBundle(bundle).entities
    written = bundle.manifest.files[0].libraries["numpy"]
    monkeypatch.setattr("modelfleet.bundles.libraries.version", lambda _: "1.0.3")
    with pytest.raises(BundleError, match=f"written with numpy {written}, but 1.0.3 is installed"):
        LoadedBundle(bundle)


def test_nothing_in_a_bundle_is_unpickled(bundle, monkeypatch):
    import pickle

    def forbidden(*_a, **_k):
        raise AssertionError("unpickled")

    monkeypatch.setattr(pickle, "loads", forbidden)
    monkeypatch.setattr(pickle, "load", forbidden)
    assert LoadedBundle(Bundle.open(bundle.path)).entities

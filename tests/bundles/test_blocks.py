"""Model files read a block at a time: the same answers, and nothing that was not checked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelfleet.bundles import blocks
from modelfleet.bundles.blocks import Blocks, block_rows
from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.shard_memory import ShardMemory
from modelfleet.errors import BundleError
from tests.bundles.constant_family import encode

NAMES = [f"e{i:03d}" for i in range(100)]


@pytest.fixture
def bundle(constant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 200)
    shards = {shard: {name: float(NAMES.index(name)) for name in NAMES[shard::2]} for shard in range(2)}
    return constant.write_bundle(tmp_path / "bundle", shards)


def test_a_block_is_about_so_many_bytes_whatever_a_model_takes() -> None:
    small = pa.table({"entity": ["e"] * 10_000, "x": [1.0] * 10_000})
    large = pa.table({"entity": ["e"] * 3, "blob": [b"x" * 500_000] * 3})
    assert block_rows(small) == pytest.approx(65_536 / 13, rel=0.01)
    assert block_rows(large) == 1


def test_the_blocks_of_a_file_are_its_models(bundle: Bundle) -> None:
    for path in bundle.files:
        found = bundle.blocks(path)
        assert found is not None
        assert len(found) > 5
        parts = [bundle.block(path, found, number) for number in range(len(found))]
        assert pa.concat_tables(parts).equals(bundle.models(path))
        assert found.rows.tolist() == np.cumsum([0, *(len(part) for part in parts)]).tolist()


def test_models_that_share_a_dictionary_are_one_part() -> None:
    table = pa.table({"entity": ["a", "b"], "kind": pa.array(["x", "y"]).dictionary_encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    data = sink.getvalue().to_pybytes()
    assert Blocks.find(data, pa.ipc.open_file(data).read_all()["entity"]) is None


def predict(models: LoadedBundle, entities: list[str]) -> list[float]:
    return models.predict_encoded(encode(len(entities)), entities).values[:, 0].tolist()


def test_a_bundle_by_block_answers_the_same(bundle: Bundle) -> None:
    whole = LoadedBundle(bundle)
    memory = ShardMemory(1000)
    by_block = LoadedBundle(bundle, memory=memory, lazy=True)
    by_block.by_block()
    asked = [*NAMES, *reversed(NAMES)]
    assert predict(by_block, asked) == predict(whole, asked)
    assert len(by_block.parts) > len(by_block.files)
    assert memory.use.evictions > 0
    assert memory.use.nbytes <= 1000


def test_only_the_block_that_is_needed_is_read(bundle: Bundle) -> None:
    models = LoadedBundle(bundle, lazy=True)
    models.by_block()
    predict(models, [NAMES[0]])
    assert [shard.entities[0].as_py() for shard in models.memory.recent()] == [NAMES[0]]
    assert models.memory.recent()[0].entity(0) == NAMES[0]


def test_a_file_altered_after_it_was_checked_is_not_used(bundle: Bundle) -> None:
    models = LoadedBundle(bundle, lazy=True)
    models.by_block()
    path = bundle.manifest.files[0].path
    file = bundle.path / path
    data = bytearray(file.read_bytes())
    first = models._blocks[path].bounds[0, 0]
    data[first + 200] ^= 1
    file.write_bytes(data)
    with pytest.raises(BundleError, match=rf"{path}: sha256 is .* expected"):
        predict(models, [NAMES[0]])
    assert predict(models, [NAMES[1]]) == [1.0]


def test_an_altered_file_is_refused_when_it_is_first_read(bundle: Bundle) -> None:
    file = bundle.path / bundle.manifest.files[1].path
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BundleError, match="truncated or altered"):
        LoadedBundle(bundle, lazy=True).by_block()


def test_a_sound_copy_is_taken_where_a_block_is_not(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    models = LoadedBundle(bundle, lazy=True)
    models.by_block()
    monkeypatch.setattr(bundle.storage, "piece", lambda file, begin, end: b"x" * (end - begin))
    assert predict(models, [NAMES[0]]) == [0.0]


def test_equal_heads_are_kept_once(bundle: Bundle) -> None:
    models = LoadedBundle(bundle, lazy=True)
    before = models.nbytes
    models.by_block()
    first, second = (models._blocks[file.path] for file in models.files)
    assert first.head is second.head
    assert models.nbytes > before


def test_a_hash_is_that_of_the_bytes_in_the_file(bundle: Bundle) -> None:
    path = bundle.manifest.files[0].path
    found = bundle.blocks(path)
    assert found is not None
    data = (bundle.path / path).read_bytes()
    for number, (begin, end) in enumerate(found.bounds.tolist()):
        assert found.hashes[32 * number : 32 * (number + 1)] == hashlib.sha256(data[begin:end]).digest()
        assert found.holds(number, data[begin:end])
        assert not found.holds(number, data[begin : end - 1])

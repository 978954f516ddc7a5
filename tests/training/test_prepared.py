from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.data.arrow_stream import from_bytes, to_bytes
from modelfleet.data.shard import shard_number
from modelfleet.errors import DataError
from modelfleet.training.matrix import from_matrix, to_matrix
from modelfleet.training.prepared import PreparedShard


@pytest.fixture
def path(make_spec, begin_run):
    run = begin_run(make_spec(), {"a": 50, "d": 7, "bb": 31})
    return run.prepared / "shard-00000.parquet", run.schema()


def test_rows_of_an_entity_are_a_slice(make_spec, begin_run):
    run = begin_run(make_spec("regression"), {"a": 50, "b": 20, "c": 9, "d": 30})
    shard = PreparedShard.read(run.prepared / "shard-00000.parquet", run.schema())
    assert shard.entities == ("a", "d")
    assert shard.bounds.tolist() == [0, 50, 80]
    training = shard.training(np.array([False, True]))
    own = slice(50, 80)
    keep = shard.part[own] != 2
    assert training.entities == ("d",)
    assert training.bounds.tolist() == [0, keep.sum()]
    np.testing.assert_array_equal(training.target, shard.target[own][keep])
    np.testing.assert_array_equal(training.rows.numbers, shard.encoded.numbers[own][keep])
    np.testing.assert_allclose(shard.baseline()[1, 0], training.target.mean())
    assert len(shard.holdout_rows) == (shard.part == 2).sum()


def test_only_some_entities(make_spec, begin_run):
    run = begin_run(make_spec(), {"a": 50, "b": 20, "c": 9, "d": 30})
    shard = PreparedShard.read(run.prepared / "shard-00000.parquet", run.schema(), frozenset({"d", "z"}))
    whole = PreparedShard.read(run.prepared / "shard-00000.parquet", run.schema())
    assert shard.entities == ("d",)
    np.testing.assert_array_equal(shard.target, whole.target[50:])
    assert shard.table.equals(whole.table.slice(50).combine_chunks())
    empty = PreparedShard.read(run.prepared / "shard-00000.parquet", run.schema(), frozenset())
    assert empty.entities == ()
    assert empty.baseline().shape == (0, 2)


def test_the_baseline_is_the_class_shares_and_nothing_without_rows(make_spec, begin_run):
    run = begin_run(make_spec(), {"a": 50})
    shard = PreparedShard.read(run.prepared / "shard-00000.parquet", run.schema())
    target = shard.target[shard.part != 2]
    np.testing.assert_allclose(shard.baseline()[0], [(target == 0).mean(), (target == 1).mean()])
    all_held_out = replace(shard, part=np.full(50, 2, dtype=np.int8))
    assert np.isnan(all_held_out.baseline()).all()


def test_rows_that_do_not_stand_together_are_refused(path):
    file, schema = path
    table = pq.read_table(file)
    pq.write_table(pa.concat_tables([table, table.slice(0, 3), table.slice(len(table) - 1, 1)]), file)
    if table["__entity"].to_pylist()[0] != table["__entity"].to_pylist()[-1]:
        with pytest.raises(DataError, match="do not stand together"):
            PreparedShard.read(file, schema)


def test_other_files_are_refused(path, tmp_path):
    file, schema = path
    pq.write_table(pq.read_table(file).drop_columns(["__part"]), file)
    with pytest.raises(DataError, match="no column __part"):
        PreparedShard.read(file, schema)
    file.write_bytes(b"not parquet")
    with pytest.raises(DataError, match="not a readable prepared shard"):
        PreparedShard.read(file, schema)
    with pytest.raises(DataError, match="not the name of a prepared shard"):
        shard_number(tmp_path / "part-1.parquet")


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (5, 2), (0, 0)])
def test_matrices_travel(shape):
    matrix = np.random.default_rng(0).normal(size=shape)
    table = from_bytes(to_bytes(pa.table({"m": from_matrix(matrix)})))
    np.testing.assert_array_equal(to_matrix(table["m"], shape[1], np.float64), matrix)

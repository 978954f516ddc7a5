"""What the serving works count: lost, dead and doubled requests, gaps, rates, intervals, memory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stream.account import account, latencies, longest_gap, steady_rate
from benchmarks.stream.bootstrap import difference, quantile_of
from benchmarks.stream.memory import growth
from benchmarks.stream.reader import Seen
from benchmarks.stream.shops import damage, mark_of, write_bundle
from benchmarks.stream.traffic import Traffic, number_of
from modelfleet.errors import BundleError, ModelfleetError
from modelfleet.serving.chunk import Chunk
from modelfleet.serving.loading import load_bundle
from modelfleet.serving.message import parse_message
from modelfleet.serving.predict import Prediction, predict_rows
from modelfleet.serving.request import parse_request


def seen(*messages: tuple[int, int] | tuple[int, int, int]) -> Seen:
    """Return messages of (number, milliseconds, generation)."""
    columns = list(zip(*((*one, 1)[:3] for one in messages), strict=True)) or [(), (), ()]
    number, ms, generation = (np.array(column, np.int64) for column in columns)
    return Seen(number, ms, generation, np.zeros(len(number)))


def test_every_request_is_answered_dead_or_lost() -> None:
    requests = seen((0, 10), (1, 11), (2, 12), (3, 13), (4, 14))
    answers = seen((0, 20, 1), (0, 25, 1), (1, 21, 1), (1, 22, 2), (4, 30, 2))
    found = account(requests, answers, seen((2, 15), (4, 16), (-1, 17)))
    assert (found.sent, found.answered, found.dead, found.lost) == (5, 3, 1, 1)
    assert (found.duplicates, found.conflicting) == (2, 1)
    with pytest.raises(ModelfleetError, match="1 lost"):
        found.check()
    account(requests, seen(*((i, 50) for i in range(5))), seen()).check()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99), st.integers(1, 3))), st.sets(st.integers(0, 9)))
def test_the_parts_add_up(answers: list[tuple[int, int, int]], dead: set[int]) -> None:
    asked = seen(*((i, i) for i in range(10)))
    found = account(asked, seen(*answers), seen(*((i, 0) for i in dead)))
    assert found.sent == 10 == found.answered + found.dead + found.lost
    assert found.answered + found.duplicates == len(answers)
    assert found.conflicting <= found.duplicates


def test_latency_is_to_the_first_answer() -> None:
    assert latencies(seen((7, 100), (8, 101), (9, 102)), seen((8, 141), (7, 130), (7, 120))).tolist() == [20.0, 40.0]


def test_a_gap_may_reach_over_the_edge_of_its_window() -> None:
    times = np.array([5, 20, 30, 65, 90])
    assert longest_gap(times, 10, 80) == 35
    assert longest_gap(times, 35, 80) == 30  # from the window's start to the first answer in it
    assert longest_gap(times, 40, 60) == 20  # no answer at all


def test_a_rate_leaves_out_the_start_and_the_end() -> None:
    steady = np.repeat(np.arange(0, 10_000, 10), 5)  # five answers every 10 ms
    slow = np.concatenate([[-50_000], steady, [60_000]])
    assert steady_rate(slow) == pytest.approx(500, rel=0.01)


def test_intervals_hold_the_truth_and_tell_a_difference() -> None:
    random = np.random.default_rng(1)
    near, far = random.normal(100, 10, 200), random.normal(160, 10, 200)
    found = difference(far.tolist(), near.tolist(), 0.5)
    assert found.low < 60 < found.high and found.low > 50
    same = difference(near.tolist(), random.normal(100, 10, 200).tolist(), 0.5)
    assert same.low < 0 < same.high
    one = quantile_of(near.tolist(), 0.99)
    assert one.low <= one.value <= one.high


def test_memory_that_grows_is_seen_and_a_jump_is_not() -> None:
    flat = [100] * 20 + [100, 100, 180, 100, 100] * 10
    assert max(growth(flat, 20)) == 1.0
    assert max(growth([100 + i for i in range(100)], 20)) > 1.5


class TestTraffic:
    def test_the_same_seed_asks_the_same(self) -> None:
        assert list(Traffic("r", 9).messages(20)) == list(Traffic("r", 9).messages(20))
        assert list(Traffic("r", 9, seed=1).messages(20)) != list(Traffic("r", 9).messages(20))

    def test_messages_are_requests_the_fleet_understands(self) -> None:
        for traffic in (Traffic("r", 9), Traffic("r", 9, rows=5), Traffic("r", 9, rows=5, arrow=True)):
            found = [parse_message(head + b"2026-01-31T12:00:00Z" + tail) for head, tail in traffic.messages(12)]
            assert [number_of(one.request_id) for one in found] == list(range(12))
            assert all(one.event_time == datetime(2026, 1, 31, 12, tzinfo=UTC) for one in found)
            assert all(isinstance(one, Chunk) == (traffic.rows > 1) for one in found)
            assert all(one.request_id.startswith("r-") for one in found)

    def test_arrow_asks_what_json_asks(self) -> None:
        asked = [Traffic("r", 9, rows=5, arrow=arrow).messages(3) for arrow in (False, True)]
        plain, arrow = ([parse_message(head + b"2026-01-31T12:00:00Z" + tail) for head, tail in one] for one in asked)
        assert [dict(chunk.columns) for chunk in arrow] == [chunk.columns for chunk in plain]

    def test_zipf_prefers_few(self) -> None:
        counts = np.sort(np.bincount(Traffic("r", 100, zipf=1.0).chosen(20_000), minlength=100))[::-1]
        assert counts[0] / counts[9] == pytest.approx(10, rel=0.3)
        even = np.bincount(Traffic("r", 100).chosen(20_000), minlength=100)
        assert even.max() < 2 * even.min()


class TestShops:
    def test_every_prediction_tells_its_bundle(self, tmp_path: Path) -> None:
        lines = [head + tail for head, tail in Traffic("r", 30).messages(50)]
        rows = [parse_request(line.replace(b'"event_time": "", ', b"")).row for line in lines]
        for mark in (1, 7):
            fleet = load_bundle(write_bundle(tmp_path, "shops", 30, mark), fleet="shops", generation=1)
            found = [one for one in predict_rows(fleet, rows) if isinstance(one, Prediction)]
            assert len(found) == 50 and {one.served_by for one in found} == {"entity"}
            assert set(mark_of(np.array([one.prediction for one in found])).tolist()) == {mark}

    @pytest.mark.parametrize("way", range(3))
    def test_a_damaged_bundle_is_refused(self, tmp_path: Path, way: int) -> None:
        bundle = write_bundle(tmp_path, "shops", 30, 1)
        damage(bundle, way)
        with pytest.raises(BundleError):
            type(bundle).open(bundle.path, sha256=bundle.sha256)

    def test_a_large_fleet_has_as_many_models_as_shops(self, tmp_path: Path) -> None:
        bundle = write_bundle(tmp_path, "shops", 2_500, 1, shards=3)
        assert bundle.index.num_rows == 2_500
        assert len(bundle.manifest.files) == 4  # and the pooled model

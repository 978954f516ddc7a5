"""How far a partition has been read: what the engine keeps."""

from __future__ import annotations

import pytest
from apache_beam.io.restriction_trackers import OffsetRange
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.transforms.kafka_position import ENDLESS, Positions, PositionTracker


@given(st.integers(0, 1000), st.lists(st.integers(0, 1000)), st.floats(0, 1))
def test_what_is_not_claimed_is_what_is_given_away(start: int, claims: list[int], fraction: float) -> None:
    """Claims may fall: a topic that was made anew begins at 0 again."""
    tracker = PositionTracker(OffsetRange(start, ENDLESS))
    for position in claims:
        assert tracker.try_claim(position)
    split = tracker.try_split(fraction)
    assert split is not None
    done, rest = split
    assert rest == OffsetRange(claims[-1] if claims else start, ENDLESS)
    assert done.stop == rest.start
    assert tracker.current_restriction() == done
    assert tracker.check_done()
    assert not tracker.try_claim(rest.start + 1)
    assert tracker.try_split(fraction) is None


def test_a_call_that_ends_without_a_word_is_an_error() -> None:
    tracker = PositionTracker(OffsetRange(5, ENDLESS))
    assert tracker.try_claim(7)
    with pytest.raises(ValueError, match="offsets from 7 on"):
        tracker.check_done()


def test_a_partition_that_is_no_longer_wanted_can_be_ended() -> None:
    tracker = PositionTracker(OffsetRange(5, ENDLESS))
    assert tracker.try_claim(ENDLESS)
    assert tracker.check_done()


def test_a_drain_leaves_the_rest_for_the_next_job() -> None:
    assert Positions().truncate(("t", 0, 5), OffsetRange(9, ENDLESS)) is None
    assert Positions().initial_restriction(("t", 0, 5)) == OffsetRange(5, ENDLESS)

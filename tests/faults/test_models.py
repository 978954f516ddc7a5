"""Models that misbehave: for one row of one entity, with good rows of others in the same batch."""

from __future__ import annotations

import pytest

from tests.faults.plant import machine
from tests.faults.poison_family import HARMFUL_X

pytestmark = pytest.mark.flink


def provoke(campaign, temper, name):
    """Release a fleet in which one machine's model has a temper, provoke it, and return its dead letter."""
    with campaign.fault(name):
        release = campaign.plant.release(tempers={machine(5): temper})
        campaign.wait_for(release.generation)
        beside = [campaign.ask(number) for number in range(10, 20)]
        asked = campaign.traffic.send({"machine": machine(5), "x": HARMFUL_X})
        beside += [campaign.ask(number) for number in range(20, 30)]
        letter = campaign.wait_for_dead_letter(asked)
        campaign.wait_until(lambda: not (set(beside) & campaign.traffic.open_ids()))
        assert set(beside) <= set(campaign.traffic.answered)  # the rows of others are answered
    assert letter.entity == machine(5)
    assert letter.generation == release.generation
    return letter


def test_a_model_that_raises(campaign):
    assert "does not like the row" in provoke(campaign, "raise", "a model that raises").reason


def test_a_model_that_returns_nan_for_one_entity_only(campaign):
    assert "not finite" in provoke(campaign, "nan", "a model that returns NaN for one entity").reason


def test_a_model_that_hangs(campaign):
    letter = provoke(campaign, "hang", "a model that never returns")
    assert "denied" in letter.reason


def test_a_model_that_hangs_with_the_interpreters_lock(campaign):
    letter = provoke(campaign, "spin", "a model that never returns and lets no other thread run")
    assert "denied" in letter.reason


def test_a_model_that_crashes_the_process(campaign):
    letter = provoke(campaign, "crash", "a model that crashes the process")
    assert "denied" in letter.reason
    # and a second time it is only a dead letter: the process that answers stays
    worker = campaign.leases()[0].pid
    again = campaign.traffic.send({"machine": machine(5), "x": HARMFUL_X})
    campaign.wait_for_dead_letter(again)
    assert campaign.leases()[0].pid == worker
    campaign.wait_for(campaign.plant.release().generation)

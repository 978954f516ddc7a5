"""A running job goes over to every new release, without a restart."""

from __future__ import annotations

import threading

import pytest

from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.mode import set_mode
from modelfleet.releases.promote import rollback

pytestmark = pytest.mark.flink


def test_a_new_release_answers_while_requests_flow(live):
    shop = live.shop
    for _ in range(2):
        release = shop.release()
        shop.until(lambda generation=release.generation: shop.ask()[0].generation == generation)
        answer = shop.ask(x=2.0)[0]
        assert answer.prediction == pytest.approx(2.0 + release.generation, abs=1e-4)
    assert shop.unanswered() == set()


def test_a_release_published_while_nothing_flows_answers_too(live):
    shop = live.shop
    shop.ask()
    release = shop.release()
    leases = shop.folders.leases
    shop.until(lambda: any(f'"serving": {release.generation}' in file.read_text() for file in leases.glob("*.json")))
    assert shop.ask()[0].generation == release.generation


def test_a_rollback_brings_the_earlier_models_back(live):
    shop = live.shop
    first, second = shop.release(), shop.release()
    shop.until(lambda: shop.ask()[0].generation == second.generation)
    back = rollback(shop.ledger, to=first.generation)
    shop.until(lambda: shop.ask()[0].generation == back.generation)
    assert shop.ask(x=0.0)[0].prediction == pytest.approx(first.generation, abs=1e-4)


def test_the_kill_switch_turns_while_the_job_runs(live):
    shop = live.shop
    bundle = shop.bundle(7.0, pooled=True)
    shop.release(bundle=BundleRef(uri=str(bundle.path), sha256=bundle.sha256))
    release = set_mode(shop.ledger, pooled_only=True)
    shop.until(lambda: shop.ask()[0].generation == release.generation)
    assert {shop.ask(store=store)[0].served_by for store in ("a", "b", "new")} == {"pooled"}
    back = set_mode(shop.ledger, pooled_only=False)
    shop.until(lambda: shop.ask()[0].generation == back.generation)
    assert shop.ask()[0].served_by == "entity"


def test_a_release_that_cannot_be_loaded_leaves_the_last_good_one_answering(live):
    shop = live.shop
    good = shop.release()
    shop.until(lambda: shop.ask()[0].generation == good.generation)
    bundle = shop.bundle(0.0)
    damaged = next(bundle.path.glob("shards/*"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    bad = shop.release(bundle=BundleRef(uri=str(bundle.path), sha256=bundle.sha256))
    leases = shop.folders.leases
    shop.until(lambda: any(f'"generation": {bad.generation}' in f.read_text() for f in leases.glob("*.json")))
    assert shop.ask()[0].generation == good.generation


def test_swaps_under_steady_traffic_lose_nothing_and_never_go_back(live):
    shop = live.shop
    stop = threading.Event()

    def traffic() -> None:
        while not stop.wait(0.05):
            shop.drop([shop.request() for _ in range(3)])

    before = len(shop.sent)
    sender = threading.Thread(target=traffic)
    sender.start()
    try:
        for _ in range(3):
            generation = shop.release().generation
            shop.until(lambda g=generation: any(a.generation == g for a in shop.answers()))
    finally:
        stop.set()
        sender.join()
    shop.until(lambda: not shop.unanswered())
    ours = set(shop.sent[before:])
    answers = sorted((a for a in shop.answers() if a.request_id in ours), key=lambda a: a.processed_time)
    generations = [answer.generation for answer in answers]
    assert generations == sorted(generations)
    assert len(answers) == len(ours)

"""How the job learns of a release: by looking, by notices, by both; whatever is sent, only the ledger counts."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.pipelines.serve import build_serve
from beam_jobs.serve import serve_config
from beam_jobs.transforms import release_watch
from beam_jobs.transforms.release_watch import _NewestGeneration
from modelfleet.engines.operate import restart_serving, stop_serving
from modelfleet.engines.serve import start_serving
from modelfleet.releases.kafka_notices import KafkaNotifier
from modelfleet.releases.notice import Notice
from modelfleet.releases.promote import rollback
from modelfleet.spec.fleet import FleetSpec
from modelfleet.spec.notices import KafkaNotices, PubsubNotices

NOTICES = KafkaNotices(kind="kafka", bootstrap_servers="127.0.0.1:1", topic="t")
HOUR = 3600.0


class Heard:
    """A listener that hears what it is given."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.closed = False

    def heard(self) -> Sequence[bytes]:
        found, self.waiting = self.waiting, []
        return found

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def heard(monkeypatch):
    listener = Heard()
    monkeypatch.setattr(release_watch, "make_listener", lambda notices: listener)
    return listener


def watching(shop, *, poll_seconds=HOUR, notices=NOTICES):
    shop.release()
    watch = _NewestGeneration(str(shop.folders.releases), 1, poll_seconds, notices)
    watch.setup()
    assert list(watch.process(0)) == [1]  # the first tick always looks
    return watch


def test_a_notice_is_a_reason_to_look_at_once(shop, heard):
    watch = watching(shop)
    shop.release()
    assert list(watch.process(0)) == []
    heard.waiting = [Notice("shop", 2).to_bytes()]
    assert list(watch.process(0)) == [2]


def test_without_a_notice_the_safety_look_finds_it(shop, heard):
    watch = watching(shop, poll_seconds=0.0)
    shop.release()
    assert list(watch.process(0)) == [2]


def test_a_notice_before_its_release_is_looked_after_for_a_while(shop, heard, monkeypatch):
    watch = watching(shop)
    heard.waiting = [Notice("shop", 2).to_bytes()]
    assert list(watch.process(0)) == []
    shop.release()
    assert list(watch.process(0)) == [2]
    monkeypatch.setattr(release_watch, "SOON_SECONDS", 0.0)
    heard.waiting = [Notice("shop", 999).to_bytes()]  # false: it is forgotten, and hides nothing that comes later
    assert list(watch.process(0)) == []
    shop.release()
    assert list(watch.process(0)) == []
    watch._look_at = 0.0
    assert list(watch.process(0)) == [3]


@pytest.mark.parametrize(
    "data", [Notice("shop", 1).to_bytes(), Notice("other", 7).to_bytes(), b"\xff", b'{"generation": 7}', b""]
)
def test_old_foreign_and_unreadable_notices_do_nothing(shop, heard, data):
    watch = watching(shop)
    shop.release()
    heard.waiting = [data] * 3
    assert list(watch.process(0)) == []


def test_the_listener_is_closed_with_the_step(shop, heard):
    watch = watching(shop)
    watch.teardown()
    assert heard.closed
    none = _NewestGeneration(str(shop.folders.releases), 1, HOUR, None)
    none.setup()
    none.teardown()


def spec(shop, **serving: Any) -> FleetSpec:
    return FleetSpec.model_validate(shop.spec.model_dump() | {"serving": shop.spec.serving.model_dump() | serving})


def steps(shop, spec) -> list[tuple[str, str]]:
    """Return the job's steps and what they are, as an engine sees them."""
    pipeline = beam.Pipeline(options=PipelineOptions(["--streaming"]))
    build_serve(pipeline, serve_config(spec, shop.home, job="j"))
    proto = pipeline.to_runner_api(use_fake_coders=True)
    return sorted((t.unique_name, t.spec.urn) for t in proto.components.transforms.values())


def test_the_graph_is_the_same_however_the_job_is_updated(shop):
    shop.release()
    pubsub = PubsubNotices(
        kind="pubsub", topic="projects/my-shop/topics/releases", subscription="projects/my-shop/subscriptions/shop"
    )
    plain = steps(shop, spec(shop))
    for updates in ("watch", "event", "both"):
        for notices in (NOTICES, pubsub):
            assert steps(shop, spec(shop, updates=updates, notices=notices.model_dump())) == plain


@pytest.mark.parametrize(("updates", "seconds"), [("watch", 0.5), ("event", 2.0), ("both", 0.5)])
def test_with_notices_alone_the_ledger_is_looked_at_with_every_lease(shop, updates, seconds):
    shop.release()
    config = serve_config(spec(shop, updates=updates, notices=NOTICES.model_dump()), shop.home, job="j")
    assert config.resident.poll_seconds == seconds
    assert (config.notices is None) == (updates == "watch")


@pytest.mark.flink
@pytest.mark.kafka
def test_a_notice_swaps_a_job_that_looks_once_an_hour_and_a_change_of_mode_keeps_its_state(live, kafka):
    name = f"kiosk_{uuid.uuid4().hex[:6]}"
    notices = KafkaNotices(
        kind="kafka", bootstrap_servers=kafka.address.bootstrap_servers, topic=kafka.topic("notices")
    )
    kiosk = type(live.shop)(live.shop.home)
    kiosk.spec = FleetSpec.model_validate(live.shop.spec.model_dump() | {"fleet": name})
    kiosk.release()
    watched = kiosk.spec
    kiosk.spec = spec(kiosk, updates="event", notices=notices.model_dump(), lease_seconds=HOUR)
    try:
        start_serving(kiosk.spec, kiosk.home)
        early = kiosk.ask()[0]
        assert early.generation == 1
        second = kiosk.release()  # publishing it tells the job
        kiosk.until(lambda: kiosk.ask()[0].generation == second.generation)
        others = KafkaNotifier(notices)
        for notice in (Notice(name, 1), Notice("other", 99), Notice(name, 10**9)):
            others.send(notice)
        back = rollback(kiosk.ledger, to=1)
        kiosk.until(lambda: kiosk.ask()[0].generation == back.generation)

        assert json.loads((kiosk.folders.root / "notices.json").read_text())["topic"] == notices.topic
        kiosk.spec = watched
        assert restart_serving(kiosk.spec, kiosk.home).restored_from is not None
        third = kiosk.release()
        kiosk.until(lambda: kiosk.ask()[0].generation == third.generation)
        assert not (kiosk.folders.root / "notices.json").exists()
        # What was answered is not answered again: the job really went on from its state
        assert [answer.request_id for answer in kiosk.answers()].count(early.request_id) == 1
    finally:
        stop_serving(kiosk.spec, kiosk.home)

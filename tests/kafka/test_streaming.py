"""Requests by Kafka, on the real broker and the real Flink: whatever is killed, each is answered at least once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelfleet.engines.operate import drain_serving, stop_serving
from modelfleet.engines.serve import serving_status
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.arrow_answer import ArrowAnswer
from modelfleet.serving.chunk_answer import AnyAnswer, read_answer
from modelfleet.serving.lease import LeaseFolder
from tests.kafka.conftest import MOST_BYTES
from tests.serving.arrow_streams import stream

pytestmark = [pytest.mark.flink, pytest.mark.kafka]


@contextlib.contextmanager
def traffic(shop) -> Iterator[None]:
    """Send requests all the time within the block, and wait for their answers after it."""
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(0.05):
            shop.drop([shop.request() for _ in range(3)])

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        sender.join()
    shop.until(lambda: not shop.unanswered())


def workers(live) -> set[int]:
    leases = LeaseFolder(live.shop.folders.leases).all()
    return {lease.pid for lease in leases if lease.job == live.job.name}


def sent_letters(shop, first: int) -> list[Any]:
    """Return the messages of the dead letters, from a position on."""
    return shop.tails["dead_letters"].messages()[first:]


def ends(shop) -> dict[int, int]:
    """Return where each partition of the requests' topic ends."""
    return Counter(message.partition() for message in shop.broker.read(shop.requests))


def test_requests_in_answers_and_dead_letters_out(streaming):
    shop = streaming.shop
    bad = [b"not json", b"", b"\xff", b'{"request_id": "nobody", "row": {"store": "nowhere", "x": 1}}']
    before = len(shop.dead_letters())
    shop.drop(bad)
    assert len(shop.ask(20)) == 20
    shop.until(lambda: len(shop.dead_letters()) == before + len(bad))
    assert {letter.original_bytes() for letter in shop.dead_letters()[before:]} == set(bad)
    for message in shop.tails["answers"].messages():
        assert message.key() == read_answer(message.value()).request_id.encode()
    for letter in sent_letters(shop, before):
        known = json.loads(letter.value())["request_id"]
        assert letter.key() == (known.encode() if known is not None else None)


def test_a_chunk_of_arrow_is_answered_by_one_message_of_arrow_and_what_is_none_is_a_dead_letter(streaming):
    shop = streaming.shop
    before = len(shop.dead_letters())
    rows = {"store": ["a", "b", "nowhere"], "x": [1.0, None, 3.0]}
    good = stream(rows, {"request_id": "by arrow", "event_time": "2026-01-31T12:00:00Z"})
    bad = [stream(rows, {}), good[:-40]]
    shop.drop([shop.request(), good, *bad, json.dumps({"request_id": "as json", "columns": rows}).encode()])
    shop.sent += ["by arrow", "as json"]
    ours: dict[str, AnyAnswer] = {}

    def all_there() -> bool:
        ours.update((one.request_id, one) for one in shop.answers() if one.request_id in ("by arrow", "as json"))
        return len(ours) == 2 and len(shop.dead_letters()) == before + 2 + len(bad)

    shop.until(all_there)
    answer = ours["by arrow"]
    assert isinstance(answer, ArrowAnswer)
    assert answer.event_time == "2026-01-31T12:00:00+00:00"
    found, expected = (json.loads(one.to_json()) for one in (answer, ours["as json"]))
    for name in ("entity", "prediction", "score", "served_by", "error", "generation"):
        assert found[name] == expected[name]
    assert found["prediction"][2] is None
    keys = Counter(letter.key() for letter in sent_letters(shop, before))
    assert keys == {b"by arrow#2": 1, b"as json#2": 1, b"by arrow": 1, None: 1}
    originals = [letter.original_bytes() for letter in shop.dead_letters()[before:] if letter.stage == "parse"]
    assert sorted(originals) == sorted(bad)


def test_the_event_time_is_the_payloads_not_the_messages(streaming):
    assert streaming.shop.ask()[0].event_time == "2026-01-31T12:00:00+00:00"


def test_a_new_release_answers_while_requests_flow(streaming):
    shop = streaming.shop
    release = shop.release()
    shop.until(lambda: shop.ask()[0].generation == release.generation)


def test_a_partition_added_meanwhile_is_read_from_its_beginning(streaming):
    shop = streaming.shop
    count = max(ends(shop), default=1) + 2
    shop.broker.add_partitions(shop.requests, count)
    lines = [shop.request() for _ in range(5)]
    shop.broker.send(shop.requests, lines, partition=count - 1)
    shop.until(lambda: not shop.unanswered())


def test_the_groups_offsets_follow_for_whoever_watches_the_lag(streaming):
    shop = streaming.shop
    shop.ask(5)
    there = ends(shop)

    def lag() -> int:
        return sum(
            end - (shop.broker.committed(shop.group, shop.requests, number) or 0) for number, end in there.items()
        )

    shop.until(lambda: lag() == 0)


def test_a_dead_letter_larger_than_the_topic_takes_is_kept_whole_beside_it(streaming):
    shop = streaming.shop
    request = b'{"request_id": "large", "row": ' + b"[" * MOST_BYTES
    shop.drop([request])
    shop.until(lambda: any(letter.whole for letter in shop.dead_letters()))
    letter = next(letter for letter in shop.dead_letters() if letter.whole)
    assert request.startswith(letter.original.encode())
    content = Path(letter.whole).read_bytes()
    assert len(content) == letter.whole_bytes
    assert Path(letter.whole).stem == letter.whole_sha256
    assert DeadLetter.from_json(content).original_bytes() == request
    shop.ask()


def test_a_paused_broker_is_waited_for(streaming):
    shop = streaming.shop
    pids = workers(streaming)
    with traffic(shop):
        shop.ask()
        with shop.broker.paused():
            threading.Event().wait(3)
        shop.ask(5)
    assert workers(streaming) == pids


def test_a_killed_broker_that_comes_back_costs_no_request(streaming):
    shop = streaming.shop
    pids = workers(streaming)
    before = len(shop.sent)
    with traffic(shop):
        shop.ask()
        shop.broker.kill()
        shop.broker.start()
        shop.ask(5)
    answered = Counter(answer.request_id for answer in shop.answers())
    assert set(answered) >= set(shop.sent[before:])
    assert workers(streaming) == pids  # nothing failed, so nothing was done twice
    assert serving_status(shop.spec, shop.home).job_id == streaming.job.job_id


def test_a_killed_worker_is_replaced_and_every_request_is_answered(streaming):
    shop = streaming.shop
    before = len(shop.sent)
    with traffic(shop):
        shop.ask()
        killed = workers(streaming)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        shop.until(lambda: bool(workers(streaming) - killed))
        shop.ask()
    answered = Counter(answer.request_id for answer in shop.answers())
    assert set(answered) >= set(shop.sent[before:])
    assert len(set(answered)) == len(set(shop.sent) & set(answered))  # no answer to what was not asked


def test_the_next_job_goes_on_where_the_checkpoint_was_and_says_what_is_gone(streaming):
    """A group's offset would be newer than the checkpoint, or older: it is not asked."""
    shop = streaming.shop
    done = {answer.request_id for answer in shop.ask(20)}
    streaming.wait_for_checkpoints(2)
    assert stop_serving(shop.spec, shop.home)
    end = ends(shop)[0]
    lines = [shop.request() for _ in range(4)]
    shop.broker.send(shop.requests, lines, partition=0)
    gone = [shop.sent.pop(-4), shop.sent.pop(-3)]  # the broker's retention takes the first two
    shop.broker.delete_before(shop.requests, 0, end + 2)
    started = streaming.start()
    assert started.restored_from is not None
    shop.until(lambda: not shop.unanswered())
    again = Counter(answer.request_id for answer in shop.answers())
    assert all(again[request_id] == 1 for request_id in done)
    assert not set(gone) & set(again)
    log = (shop.home.logs / "beam-worker.log").read_text()
    assert f"offsets {end} to {end + 1} were deleted before they were read" in log


def test_a_drained_job_has_answered_what_it_read_and_the_next_goes_on_behind_it(streaming):
    shop = streaming.shop
    before = len(shop.sent)
    shop.drop([shop.request() for _ in range(200)])
    assert drain_serving(shop.spec, shop.home) is not None
    shop.drop([shop.request() for _ in range(5)])
    assert streaming.start().restored_from is not None
    shop.until(lambda: not shop.unanswered())
    answered = Counter(answer.request_id for answer in shop.answers())
    assert [answered[request_id] for request_id in shop.sent[before:]] == [1] * 205


def test_another_topic_in_the_spec_is_read_and_the_old_one_no_longer(streaming):
    shop = streaming.shop
    shop.ask()
    streaming.wait_for_checkpoints(2)
    stop_serving(shop.spec, shop.home)
    old, shop.requests = shop.requests, shop.broker.topic("requests")
    source = shop.spec.serving.source.model_copy(update={"topic": shop.requests})
    serving = shop.spec.serving.model_copy(update={"source": source})
    shop.spec = shop.spec.model_copy(update={"serving": serving})
    shop.broker.send(old, [b'{"request_id": "old", "row": {"store": "a", "x": 1}}'])
    assert streaming.start().restored_from is not None
    shop.ask(5)
    assert not any(answer.request_id == "old" for answer in shop.answers())

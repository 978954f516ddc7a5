"""Messages that are no requests, in the middle of good ones."""

from __future__ import annotations

import json

import pytest

from tests.faults.plant import machine

pytestmark = pytest.mark.flink


def request(**row):
    return json.dumps({"request_id": "poison", "row": {"machine": machine(0), "x": 1.0} | row}).encode()


POISON = {
    "not JSON": b"{not json",
    "not UTF-8": b"\xff\xfe\x00",
    "an empty message": b"",
    "JSON, but a list": b"[1, 2, 3]",
    "a wrong type": request(x="blue"),
    "an object for a number": request(x={"value": 1}),
    "10 MB": request(x="1" * 10_000_000),
    "deep nesting": b'{"request_id": "poison", "row": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NaN": b'{"request_id": "poison", "row": {"machine": "m0000", "x": NaN}}',
    "a number too large": b'{"request_id": "poison", "row": {"machine": "m0000", "x": 1e999}}',
    "a missing feature": b'{"request_id": "poison", "row": {"machine": "m0000"}}',
    "no entity": b'{"request_id": "poison", "row": {"x": 1.0}}',
    "no request id": b'{"row": {"machine": "m0000", "x": 1.0}}',
    "a key twice": b'{"request_id": "poison", "request_id": "p", "row": {"machine": "m0000", "x": 1.0}}',
}


def test_poison_messages(campaign):
    """Each is one dead letter with a reason, and costs no other message."""
    with campaign.fault(f"poison messages, {len(POISON)} kinds among good ones"):
        before = len(campaign.traffic.dead)

        def letters():
            """Return the dead letters of what was no request of the steady traffic."""
            return [one for one in campaign.traffic.dead[before:] if one.request_id not in campaign.traffic.sent]

        for message in POISON.values():
            campaign.traffic.send_bytes(message)
            campaign.ask()
        campaign.wait_until(lambda: len(letters()) >= len(POISON))
    assert len(letters()) == len(POISON)
    assert all(letter.reason for letter in letters())


def test_an_unknown_entity(campaign):
    """The pooled model answers it; that is no fault, and no dead letter."""
    with campaign.fault("entities that nobody has seen"):
        for name in ("new", "../x", "ü" * 100, "😀"):
            asked = campaign.traffic.send({"machine": name, "x": 1.0})
            campaign.wait_until(lambda asked=asked: asked in campaign.traffic.answered)
            answer = campaign.traffic.answered[asked][0][1]
            assert (answer.entity, answer.served_by) == (name, "pooled")

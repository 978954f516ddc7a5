from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.large import LargeLetters, fitting, unsendable

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def letter(original: bytes, **more: str) -> DeadLetter:
    return DeadLetter.of(original, reason=more.pop("reason", "no"), stage="parse", now=NOW, **more)


def test_a_small_one_is_sent_as_it_is(tmp_path: Path) -> None:
    sent = fitting(letter(b"request"), 10_000, LargeLetters(tmp_path / "large"))
    assert DeadLetter.from_json(sent) == letter(b"request")
    assert not (tmp_path / "large").exists()


def test_a_large_one_is_kept_whole_under_its_hash_and_only_once(tmp_path: Path) -> None:
    large = LargeLetters(tmp_path / "large")
    whole = letter(b"x" * 20_000, request_id="r-1")
    sent = {fitting(whole, 10_000, large) for _ in range(2)}
    short = DeadLetter.from_json(sent.pop())
    assert not sent
    kept = list((tmp_path / "large").iterdir())
    assert [str(path) for path in kept] == [short.whole]
    content = kept[0].read_bytes()
    assert DeadLetter.from_json(content) == whole
    assert short.whole_sha256 == hashlib.sha256(content).hexdigest() == kept[0].stem
    assert short.whole_bytes == len(content)
    assert short.original_bytes() == b"x" * 250
    assert short.request_id == "r-1"


@settings(max_examples=60)
@given(
    st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)),
    st.text(max_size=100),
    st.integers(1, 500),
    st.integers(10_000, 60_000),
)
def test_whatever_is_in_it_the_message_is_small_enough_and_nothing_is_lost(
    original: bytes, entity: str, times: int, limit: int
) -> None:
    with TemporaryDirectory() as folder:
        whole = letter(original * times, entity=entity * times, reason=entity * times)
        sent = fitting(whole, limit, LargeLetters(folder))
        assert len(sent) <= limit
        read = DeadLetter.from_json(sent)
        assert (DeadLetter.from_json(Path(read.whole).read_bytes()) if read.whole else read) == whole


def test_an_answer_that_no_message_holds_is_a_dead_letter_with_the_answer_in_it() -> None:
    answer = Answer("r", "f", "e" * 100, 1.0, None, 3, "entity", None, NOW.isoformat(), "p")
    line = answer.to_json().encode()
    found = unsendable(answer, line, 50)
    assert Answer.from_json(found.original_bytes()) == answer
    assert (found.stage, found.request_id, found.generation) == ("write", "r", 3)
    assert f"has {len(line)} bytes, more than the 50" in found.reason


def test_a_line_older_than_a_field_is_read() -> None:
    line = '{"reason": "r", "stage": "parse", "request_id": null, "entity": null, "original": "", "encoding": "text", '
    assert DeadLetter.from_json(line + '"generation": null, "time": "t"}').whole is None

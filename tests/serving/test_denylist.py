"""Marks and the denylist: who is under suspicion, who is denied, and who is forgiven."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from modelfleet.bundles.shard_memory import Shard
from modelfleet.serving.denylist import ANY_ROW, Denylist
from modelfleet.serving.mark import MOST_ROWS, SLOTS, Marked, MarkFile, take_left_behind
from modelfleet.serving.watchdog import EXIT_CODE, Watchdog
from tests.bundles.test_shard_memory import file

SHA = "a" * 64
NOW = datetime(2026, 1, 2, tzinfo=UTC)

DIES = """
import os, sys
from pathlib import Path
import numpy as np
from modelfleet.serving.mark import MarkFile
marks = MarkFile(Path(sys.argv[1]), "p-1")
with marks.setting(7, "a" * 64, "shards/x.arrow", np.array([5, 3, 5], dtype=np.int32)):
    os.kill(os.getpid(), 9)
"""


def mark(*rows: int) -> Marked:
    return Marked(7, SHA, "shards/x.arrow", rows or None)


def test_a_mark_is_there_while_the_block_runs(tmp_path: Path) -> None:
    marks = MarkFile(tmp_path / "marks", "../odd name")
    with marks.setting(7, SHA, "shards/x.arrow", np.array([9, 2, 9], dtype=np.int32)) as slot:
        assert marks.read(slot) == mark(2, 9)
        with marks.setting(8, SHA, "p", np.zeros(1, dtype=np.int32)) as other:
            assert other != slot
    assert marks.read(slot) is None
    assert [path.parent for path in tmp_path.rglob("*.mark")] == [tmp_path / "marks"]
    marks.close()
    assert list(tmp_path.rglob("*.mark")) == []


def test_a_block_that_raises_leaves_no_mark_and_frees_its_slot(tmp_path: Path) -> None:
    marks = MarkFile(tmp_path, "p")
    for _ in range(2 * SLOTS):
        with pytest.raises(ValueError, match="x"), marks.setting(7, SHA, "p", np.zeros(1, dtype=np.int32)) as slot:
            raise ValueError("x")
        assert marks.read(slot) is None


def test_of_a_call_with_very_many_rows_the_file_is_remembered(tmp_path: Path) -> None:
    marks = MarkFile(tmp_path, "p")
    with marks.setting(7, SHA, "shards/x.arrow", np.zeros(MOST_ROWS + 1, dtype=np.int32)) as slot:
        assert marks.read(slot) == mark()


def test_what_a_killed_process_was_predicting_is_found_once(tmp_path: Path) -> None:
    alive = MarkFile(tmp_path, "alive")
    done = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -9
    with alive.setting(7, SHA, "p", np.zeros(1, dtype=np.int32)):
        assert take_left_behind(tmp_path) == [mark(3, 5)]
        assert take_left_behind(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["alive.mark"]


def test_a_file_that_is_no_mark_accuses_nobody(tmp_path: Path) -> None:
    (tmp_path / "short.mark").write_bytes(b"\x01\x02")
    assert take_left_behind(tmp_path) == []


def test_a_suspect_that_ends_a_process_alone_is_denied(tmp_path: Path) -> None:
    denylist = Denylist(tmp_path)
    denylist.accuse(mark(4), "why")
    denylist.refresh()
    assert (list(denylist.known("suspect", SHA)), list(denylist.known("denied", SHA))) == ([4], [])
    denylist.accuse(mark(4, 5), "why")  # not alone
    denylist.refresh()
    assert (sorted(denylist.known("suspect", SHA)), list(denylist.known("denied", SHA))) == ([4, 5], [])
    denylist.accuse(mark(4), "again")
    other = Denylist(tmp_path)
    other.refresh()
    assert (list(other.known("suspect", SHA)), list(other.known("denied", SHA))) == ([5], [4])
    assert other.known("denied", SHA)[4].reason == "again"
    other.clear(SHA, [5])
    assert dict(other.known("suspect", SHA)) == {}
    other.path(other.all("denied")[0]).unlink()
    other.refresh()
    assert dict(other.known("denied", SHA)) == {}


def test_of_a_large_call_every_model_is_asked_alone(tmp_path: Path) -> None:
    denylist = Denylist(tmp_path)
    for _ in range(2):
        denylist.accuse(mark(), "why")
    denylist.refresh()
    assert list(denylist.known("suspect", SHA)) == [ANY_ROW]
    assert dict(denylist.known("denied", SHA)) == {}


def test_entries_go_with_their_file(tmp_path: Path) -> None:
    denylist = Denylist(tmp_path)
    denylist.accuse(mark(4), "why")
    later = datetime.now(UTC) + timedelta(hours=2)
    denylist.expire({SHA}, later)
    denylist.expire(set(), datetime.now(UTC))
    assert len(denylist.all("suspect")) == 1
    denylist.expire({"b" * 64}, later)
    assert denylist.all("suspect") == []


def test_an_entry_that_cannot_be_read_hides_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    denylist = Denylist(tmp_path)
    denylist.accuse(mark(4), "why")
    (tmp_path / f"{SHA}-9.suspect.json").write_text("{")
    (tmp_path / "notes.suspect.json").write_text("mine")
    denylist.refresh()
    assert list(denylist.known("suspect", SHA)) == [4]
    assert "-9.suspect.json cannot be read" in caplog.text


def test_the_watchdog_accuses_who_was_late_and_nobody_else(tmp_path: Path) -> None:
    denylist = Denylist(tmp_path)
    ended: list[int] = []
    over = threading.Event()

    def end(code: int) -> None:
        ended.append(code)
        over.set()

    watchdog = Watchdog(denylist, "p", 0.05, end=end)
    late = Shard(file("late"), None, None, None, 0)  # type: ignore[arg-type]
    with watchdog.watching(7, late, np.array([3], dtype=np.int32)):
        pass  # on time: not to blame
    watchdog.start()
    with watchdog.watching(7, late, np.array([4], dtype=np.int32)):
        assert over.wait(30)
    assert ended == [EXIT_CODE]
    (entry,) = denylist.all("suspect")
    assert (entry.sha256, entry.row, entry.generation) == (late.file.sha256, 4, 7)
    assert "took longer than 0.05 s" in entry.reason

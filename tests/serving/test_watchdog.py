"""The watchdog in a process of its own: what it ends, and when it begins to look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HANGS_AT_ONCE = """
import re, sys
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from modelfleet.serving.denylist import Denylist
from modelfleet.serving.watchdog import Watchdog

sys.setswitchinterval(1000)  # no other thread of Python gets to run in between, as on a busy machine
watchdog = Watchdog(Denylist(Path(sys.argv[1])), "p", 0.5)
shard = SimpleNamespace(file=SimpleNamespace(sha256="0" * 64, path="shards/0"))
with watchdog.watching(1, shard, np.zeros(1, np.int32)):
    watchdog.start()
    re.match(r"(a|aa)+$", "a" * 100 + "b")  # never lets go of the interpreter's lock
"""


def test_a_hang_that_holds_the_interpreters_lock_from_the_very_start_is_ended(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGS_AT_ONCE, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode != 0
    assert "Timeout" in ended.stderr  # by faulthandler: the watchdog's own thread did not get to run

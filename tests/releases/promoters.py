"""Two processes that publish the same generation at once, wherever the ledger is."""

from __future__ import annotations

import subprocess
import sys

PROMOTER = """
import sys
from modelfleet.errors import ReleaseConflictError
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
ledger = Ledger(sys.argv[1])
ledger.newest()
print("ready", flush=True)
sys.stdin.readline()
try:
    release = ledger.publish(bundle=BundleRef(uri="/x", sha256="a" * 64), reason="promote", actor=sys.argv[2], after=0)
    print("won", release.generation)
except ReleaseConflictError:
    print("lost")
"""


def promote_at_once(folder: str) -> list[str]:
    """Let two processes publish the first generation, both after they looked; return what they said, in order."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTER, folder, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("ann", "bob")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return sorted(process.communicate(timeout=60)[0].strip() for process in processes)

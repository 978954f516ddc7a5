"""The highest generation that serving processes have seen, so that a number is never given out twice."""

from __future__ import annotations

import json
from pathlib import Path


def leased_floor(folder: Path) -> int:
    """Return the highest generation named in any lease, expired ones included; 0 where there is none.

    Args:
        folder: ``FleetHome.leases``; need not exist. Files that are no leases are passed over.
    """
    highest = 0
    for path in folder.glob("*.json"):
        try:
            lease = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if not isinstance(lease, dict):
            continue
        refused = lease.get("refused")
        named = [lease.get("serving")]
        named += [entry.get("generation") for entry in refused if isinstance(entry, dict)] if refused else []
        highest = max([highest, *(number for number in named if isinstance(number, int))])
    return highest

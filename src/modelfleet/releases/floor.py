"""The highest generation that serving processes have seen, so that a number is never given out twice."""

from __future__ import annotations

import json

from modelfleet.errors import StoreRefusedError, StoreUnavailableError
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Place


def leased_floor(folder: Place) -> int:
    """Return the highest generation named in any lease, expired ones included; 0 where there is none.

    Args:
        folder: ``FleetHome.leases``; need not exist. Files that are no leases are passed over.
    """
    highest = 0
    store = open_store(folder)
    for name in store.names():
        if not name.endswith(".json"):
            continue
        try:
            lease = json.loads(store.read(name))
        except (StoreUnavailableError, StoreRefusedError):
            raise  # a number must not be given out twice because a lease could not be read
        except (OSError, ValueError):
            continue
        if not isinstance(lease, dict):
            continue
        refused = lease.get("refused")
        named = [lease.get("serving")]
        named += [entry.get("generation") for entry in refused if isinstance(entry, dict)] if refused else []
        highest = max([highest, *(number for number in named if isinstance(number, int))])
    return highest

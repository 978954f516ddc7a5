"""Which part of the split a row belongs to: a salted hash of its identity, so that it never changes part.

What a champion has trained on must never judge it against a candidate. Therefore the part of a row depends on nothing
but the row; and the holdout of an entity, where it is capped, is cut by a threshold on that hash that only falls.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelfleet.data.content import mixed, seed_of

if TYPE_CHECKING:
    from modelfleet.spec.data import SplitSpec

TRAIN, VALIDATION, HOLDOUT = 0, 1, 2
"""Values of the column ``__part``."""

PARTS = ("train", "validation", "holdout")
"""Names of the parts, by value."""


def position_of(identity: NDArray[np.uint64], salt: str) -> NDArray[np.float64]:
    """Return where each row stands in [0, 1): evenly spread, equal for equal identities.

    Args:
        identity: (n,) uint64 hash of each row's group, else id, else content.
        salt: The spec's; another salt spreads anew.
    """
    spread: NDArray[np.float64] = (mixed(identity ^ seed_of(salt)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return spread


def holdout_threshold(position: NDArray[np.float64], share: float, cap: int, before: float | None = None) -> float:
    """Return the position below which an entity's rows are its holdout.

    Args:
        position: (n,) positions of the entity's rows.
        share: The holdout's share of all rows.
        cap: Most holdout rows. Rows of one position stay together; if the first position alone has more, it is
            the holdout.
        before: The threshold of the champion, if there is one; the result is never above it, or a row that
            trained the champion would judge it.
    """
    threshold = share if before is None else min(share, before)
    inside = np.sort(position[position < threshold])
    if len(inside) <= cap:
        return float(threshold)
    cut = inside[cap]
    if cut == inside[0]:
        above = inside[inside > cut]
        return float(above[0]) if len(above) else float(threshold)
    return float(cut)


def parts_of(
    position: NDArray[np.float64], threshold: NDArray[np.float64] | float, split: SplitSpec
) -> NDArray[np.int8]:
    """Return the part of each row, (n,) int8.

    Args:
        position: (n,) positions.
        threshold: (n,) or one: the holdout threshold of each row's entity.
        split: The spec's shares. Positions from ``holdout`` to ``holdout + validation`` are the validation part
            whatever the threshold, and what lies between threshold and ``holdout`` trains.
    """
    validation = (position >= split.holdout) & (position < split.holdout + split.validation)
    return np.where(position < threshold, HOLDOUT, np.where(validation, VALIDATION, TRAIN)).astype(np.int8)


def surely_train(position: NDArray[np.float64], split: SplitSpec) -> NDArray[np.bool_]:
    """Return which rows train whatever their entity's threshold."""
    return position >= split.holdout + split.validation


def split_fingerprint(split: SplitSpec, identity: Sequence[str], kind: str) -> str:
    """Return sha256 over everything that decides parts, the cap aside (its threshold only falls).

    Two runs with equal fingerprints give every row the same part, so their models can be compared on one holdout.

    Args:
        split: The spec's split section.
        identity: The columns that are a row's identity.
        kind: ``group``, ``row_id`` or ``content``.
    """
    document = {
        "kind": kind,
        "columns": sorted(identity),
        "salt": split.salt,
        "holdout": split.holdout,
        "validation": split.validation,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

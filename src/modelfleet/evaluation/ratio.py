"""Quotients that may be undefined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ratio(over: NDArray[Any], under: NDArray[Any]) -> NDArray[np.float64]:
    """Return the quotients of two arrays of one shape; NaN where the divisor is not above 0."""
    out = np.full(np.shape(over), np.nan)
    np.divide(over, under, out=out, where=under > 0)
    return out

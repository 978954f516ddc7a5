"""What was seen when something outside was looked at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "wrong", "unreachable", "unknown"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: Its name.
        state: ``ok``; ``wrong``: somebody must do something; ``unreachable``: nobody answered, a retry may help;
            ``unknown``: the caller cannot tell.
        seen: What was seen.
        remedy: What to do; empty where there is nothing.
    """

    what: str
    state: State
    seen: str
    remedy: str = ""

    def as_line(self) -> str:
        """Return all of it as one line."""
        return f"{self.what}: {self.seen}" + (f": {self.remedy}" if self.remedy else "")

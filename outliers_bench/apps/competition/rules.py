"""What a competition allows, and what it shows when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Rules:
    """What is allowed, and what is shown; see the options of the command."""

    metric: str
    k: Sequence[int]
    max_rank: int
    max_bytes: int
    per_minute: int
    per_hour: int
    token: str | None
    public: bool
    deadline: datetime | None

    def closed(self, now: float) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and now > self.deadline.timestamp()

    def shown(self, now: float) -> bool:
        """Whether scores are told."""
        return self.public or self.closed(now)

    @property
    def closing(self) -> str:
        """The deadline in words; empty where there is none."""
        return "" if self.deadline is None else self.deadline.isoformat(" ", "minutes")

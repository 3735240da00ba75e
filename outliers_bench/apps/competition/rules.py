"""Rules of a competition: limits, deadline and visibility of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Rules:
    """Rules of a competition; see `options.Competition` for the fields."""

    metric: str
    k: Sequence[int]
    max_rank: int
    max_bytes: int
    per_minute: int
    per_hour: int
    token: str | None
    public: bool
    deadline: datetime | None

    def is_closed(self, now: float) -> bool:
        """Check whether the deadline has passed."""
        return self.deadline is not None and now > self.deadline.timestamp()

    def shows_scores(self, now: float) -> bool:
        """Check whether scores are shown."""
        return self.public or self.is_closed(now)

    @property
    def deadline_text(self) -> str:
        """Deadline for messages; empty if there is none."""
        return "" if self.deadline is None else self.deadline.isoformat(" ", "minutes")

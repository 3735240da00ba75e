"""Counts of calls, for regression tests of speed that need no clock."""

from typing import Any

import pytest


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[tuple]:
    """Record the arguments of each call of `owner.name` from now on; the call is made as well."""
    calls: list[tuple] = []
    original = getattr(owner, name)

    def record(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, record)
    return calls

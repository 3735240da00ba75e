"""Numbers of bytes and lists of names, as messages show them."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice


def list_first(names: Collection[str], n: int = 3) -> str:
    """Join the first names, with an ellipsis if there are more than `n`.

    Examples
    --------
    >>> list_first(["ant", "bass", "crab"], 2), list_first(["ant"])
    ('ant, bass, ...', 'ant')
    """
    return ", ".join([*islice(names, n), *(["..."] if len(names) > n else [])])


def format_bytes(n_bytes: float) -> str:
    """Format a number of bytes with a binary unit.

    Examples
    --------
    >>> format_bytes(512), format_bytes(3_400_000), format_bytes(1024**2 - 1)
    ('512 B', '3.2 MiB', '1.0 MiB')
    """
    for unit, digits in (("B", 0), ("KiB", 1), ("MiB", 1)):
        if round(abs(n_bytes), digits) < 1024:  # as it will be printed
            return f"{n_bytes:.{digits}f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GiB"

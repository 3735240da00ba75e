"""Numbers of bytes, formatted with binary units."""

from __future__ import annotations


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

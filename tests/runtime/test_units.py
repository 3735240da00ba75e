"""Numbers of bytes with binary units."""

import pytest

from outliers_bench.runtime.units import format_bytes


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (3_400_000, "3.2 MiB"), (2**40, "1024.0 GiB")],
)
def test_bytes_have_binary_units(n_bytes, text):
    assert format_bytes(n_bytes) == text

"""What the whole suite shares."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photos and weights, where the machine has them."""
    folder = os.environ.get("OUTLIERS_BENCH_SHARED")
    if not folder or not Path(folder).is_dir():
        pytest.skip("OUTLIERS_BENCH_SHARED names no folder with data/ and weights/")
    return Path(folder).resolve()

"""What the whole suite shares."""

import os
import re
import signal
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from filelock import FileLock

from outliers_bench.runtime.invocation import requirements

pytest_plugins = ("tests.stores",)

# Files that take longest, longest first. A file is run by one worker, so that one of these begun
# last would keep the others waiting; pytest-xdist begins with those that have most tests.
LONGEST = (
    "tests/test_end_to_end.py",
    "tests/contract/test_methods.py",
    "tests/cli/test_bad_input.py",
    "tests/training/test_fit.py",
    "tests/cli/test_help_and_config.py",
    "tests/models/test_weights.py",
    "tests/tracking/test_recorder.py",
    "tests/tracking/test_tracking_store.py",
    "tests/engines/test_embed.py",
    "tests/config/test_experiments.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Keep pytest-xdist to the order below, and let Ctrl-C reach the commands that are tested."""
    config.option.loadscopereorder = False
    # What a script puts into the background is started deaf to it, and passes that on.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, and skip what needs an extra that is not there."""
    for item in items:
        for extra in {mark.args[0] for mark in item.iter_markers("extra")}:
            if not has(extra):
                item.add_marker(pytest.mark.skip(reason=f"without the extra {extra}"))
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(LONGEST)))


@cache
def has(extra: str) -> bool:
    """Tell whether every package of an extra is installed."""
    packages = requirements(extra)
    assert packages, f"there is no extra {extra}"
    try:
        for package in packages:
            distribution(re.match(r"[\w.-]+", package)[0])
    except PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photos and weights, where the machine has them."""
    folder = os.environ.get("OUTLIERS_BENCH_SHARED")
    if not folder or not Path(folder).is_dir():
        pytest.skip("OUTLIERS_BENCH_SHARED names no folder with data/ and weights/")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A database of MLflow's in which nothing is recorded, to be copied.

    Making one takes seconds, so that the workers of pytest-xdist share it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / "made" / "mlflow.db"
    with FileLock(folder / "made.lock"):
        if not path.exists():
            unfinished = folder / "making" / path.name
            unfinished.parent.mkdir(exist_ok=True)
            code = (
                "from outliers_bench.tracking.store import open_client\n"
                f"open_client('sqlite:///{unfinished}')"
            )
            subprocess.run([sys.executable, "-c", code], check=True)
            unfinished.parent.rename(path.parent)
    return path


@pytest.fixture(autouse=True)
def called_as_python(monkeypatch):
    """Let this process print commands as it would in an activated environment."""
    monkeypatch.setattr(sys, "orig_argv", ["python"])


@pytest.fixture
def on_gpu(monkeypatch):
    """Let this machine have a GPU, with bfloat16 or without."""

    from outliers_bench.engines import gpu as gpus

    def see(*, bfloat16):
        monkeypatch.setattr(gpus, "detect_gpu", lambda _cache=None: gpus.Gpu(True, bfloat16))

    return see

"""Fixtures and order of the test suite."""

import gc
import os
import re
import signal
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from filelock import FileLock

pytest_plugins = ("tests.stores",)

# The slowest files, slowest first. Each file is run by one worker, so that a slow file started last
# would delay the end; by default, pytest-xdist starts with the files that have the most tests.
SLOWEST = (
    "tests/test_end_to_end.py",
    "tests/contract/test_methods.py",
    "tests/cli/test_bad_input.py",
    "tests/training/test_fit.py",
    "tests/cli/test_help_and_config.py",
    "tests/models/test_weights.py",
    "tests/tracking/test_sender.py",
    "tests/tracking/test_tracking_store.py",
    "tests/engines/test_embed.py",
    "tests/config/test_experiments.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Disable the reordering of pytest-xdist, let Ctrl-C reach commands, and compile files once."""
    config.option.loadscopereorder = False
    # Without compiled files, each of the hundred tested commands compiles the package again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    gc.set_threshold(50_000, 20, 20)  # as in a run
    # A process started in the background of a script ignores SIGINT, and so do its children.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest files first, and skip tests whose extra is not installed."""
    for item in items:
        for extra in {mark.args[0] for mark in item.iter_markers("extra")}:
            if not has(extra):
                item.add_marker(pytest.mark.skip(reason=f"without the extra {extra}"))
    order = {file: position for position, file in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(SLOWEST)))


def pytest_collection_finish() -> None:
    """Exempt what the imported modules hold from all further garbage collections."""
    gc.collect()
    gc.freeze()


@cache
def has(extra: str) -> bool:
    """Check whether all packages of an extra are installed."""
    # Not the installed metadata: an extra may be newer than the environment.
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())[
        "project"
    ]
    try:
        for package in project["optional-dependencies"][extra]:
            distribution(re.match(r"[\w.-]+", package)[0])
    except PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real photos and weights; skips the test without one."""
    folder = os.environ.get("OUTLIERS_BENCH_SHARED")
    if not folder or not Path(folder).is_dir():
        pytest.skip("OUTLIERS_BENCH_SHARED names no folder with data/ and weights/")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """Empty MLflow database, to be copied.

    Creating one takes seconds, so that the workers of pytest-xdist share it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / "empty" / "mlflow.db"
    with FileLock(folder / "empty.lock"):
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
    """Print commands with `python`, as in an activated environment."""
    monkeypatch.setattr(sys, "orig_argv", ["python"])


@pytest.fixture
def on_gpu(monkeypatch):
    """Return a function that simulates a GPU, with or without bfloat16."""
    from outliers_bench.engines import gpu as gpus

    def simulate(*, bfloat16):
        monkeypatch.setattr(gpus, "detect_gpu", lambda _cache=None: gpus.Gpu(True, bfloat16))

    return simulate

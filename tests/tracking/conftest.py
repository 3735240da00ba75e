"""One MLflow database for all tests of the tracking: making one takes seconds."""

import shutil
import subprocess
import sys

import pytest

from outliers_bench.tracking.store import open_client


@pytest.fixture(scope="session")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(scope="session")
def client(uri):
    return open_client(uri)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A database of MLflow's in which nothing is recorded."""
    path = tmp_path_factory.mktemp("made") / "mlflow.db"
    code = f"from outliers_bench.tracking.store import open_client; open_client('sqlite:///{path}')"
    subprocess.run([sys.executable, "-c", code], check=True)
    return path


@pytest.fixture
def fresh_uri(made, tmp_path):
    """A database of a test's own, as a copy."""
    return f"sqlite:///{shutil.copy(made, tmp_path / 'mlflow.db')}"

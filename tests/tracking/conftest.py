"""One MLflow database for all tests of the tracking: making one takes seconds."""

import pytest

from outliers_bench.tracking.store import open_client


@pytest.fixture(scope="session")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(scope="session")
def client(uri):
    return open_client(uri)

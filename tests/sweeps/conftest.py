"""Fixtures of the sweeps under test."""

import pytest


@pytest.fixture
def workdir(empty_database, tmp_path, monkeypatch):
    """Working directory with an empty database and its own cache."""
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path

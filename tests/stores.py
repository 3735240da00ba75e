"""Fixtures of MLflow databases: one shared by all tests of tracking, and empty copies."""

import shutil
from contextlib import contextmanager

import pytest

from tests.boards import NAME, NASTY, detailed, record


@pytest.fixture(scope="session")
def uri(empty_database, tmp_path_factory):
    return f"sqlite:///{shutil.copy(empty_database, tmp_path_factory.mktemp('mlflow'))}"


@pytest.fixture(scope="session")
def client(uri):
    from outliers_bench.tracking.store import open_client

    return open_client(uri)


@contextmanager
def without_sender(folder, uri):
    from outliers_bench.tracking import senders
    from tests.outboxes import Outbox

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(senders, "announce", lambda *_: None)
        patch.setattr(senders, "_own", {})
        yield Outbox(folder, uri)


@pytest.fixture
def outbox(uri, tmp_path):
    """Outbox that the test delivers to the shared database."""
    with without_sender(tmp_path / "cache", uri) as outbox:
        yield outbox


@pytest.fixture(scope="module")
def module_outbox(uri, tmp_path_factory):
    """Outbox as `outbox`, for what all tests of a module read."""
    with without_sender(tmp_path_factory.mktemp("cache"), uri) as outbox:
        yield outbox


@pytest.fixture
def fresh_uri(empty_database, tmp_path):
    """URI of an empty database for one test."""
    return f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"


@pytest.fixture(scope="session")
def runs(uri, client):
    """Ids of runs of two splits, next to runs that no leaderboard includes."""
    from outliers_bench.tracking.store import experiment_id

    ids = {
        "old": record(uri, client, model="a", hit=0.9),
        "a": record(uri, client, model="a", hit=1 / 3),
        "b": record(uri, client, model="b", hit=0.7),
        "c": record(uri, client, model="c", hit=1 / 3),
        "d": record(uri, client, model="d", hit=0.1),
        "else": record(uri, client, model="b", hit=0.99, fingerprint="two", identity="b2"),
    }
    record(uri, client, model="failed", hit=1.0, fail=True)
    record(uri, client, model="unlabeled", hit=None)
    parent = client.create_run(experiment_id(client, NAME), tags={"kind": "sweep"}).info.run_id
    client.log_metric(parent, "hit_at_1", 1.0)
    client.set_terminated(parent, "FINISHED")
    return ids


@pytest.fixture(scope="session")
def table_runs(uri, client):
    """Ids of runs with scores by query, most of them rows of a published table."""
    failure = "WeightsUnavailableError: no ImageNet weights of VGG16"
    ids = {
        "best": detailed(client, "image_matching", 30, row="image_matching"),
        "near": detailed(client, "sift", 29, row="sift"),
        "far": detailed(client, "cnn_scratch", 10, row="cnn_scratch"),
        "unpublished": detailed(client, NASTY, 20),
    }
    detailed(client, "transfer_vgg16", None, row="transfer_vgg16", status="FAILED", failure="X: y")
    detailed(client, "transfer_vgg16", None, row="transfer_vgg16", status="FAILED", failure=failure)
    other_split = {"split_fingerprint": "two"}
    no_split = {"data": "else", "failure": "BenchError: too little memory"}
    detailed(
        client, "x", None, row="transfer_mobilenet", status="FAILED", failure="ValueError: odd"
    )
    detailed(client, "x", None, row="transfer_resnet50", status="KILLED")
    detailed(client, "x", None, row="transfer_resnet50v2", status="FAILED", **other_split)
    detailed(client, "x", None, row="transfer_resnet50v2", status="FAILED", **no_split)
    return ids

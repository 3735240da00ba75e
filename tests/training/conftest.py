"""Fixtures for the tests of trained networks."""

import pytest

from outliers_bench.training.fit import train
from tests.training_toys import RecordingObserver, deterministic_task


@pytest.fixture(scope="module")
def op_determinism():
    """Disable TensorFlow's deterministic operations after a module, as they slow down others."""
    yield
    from tensorflow.python.framework import config

    config.disable_op_determinism()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, op_determinism):
    """Return a network trained by `deterministic_task` without interruption."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return train(deterministic_task(), folder, RecordingObserver())

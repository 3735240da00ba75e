"""Finished trainings to log in MLflow, and access to what is logged."""

import math
from pathlib import Path

import numpy as np

from outliers_bench.runtime.training_observer import TrainedNetwork
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.training_logger import MlflowTrainingLogger
from tests.results import make_config, make_split

EPOCHS = tuple(
    {
        "loss": 2.0 / number,
        "accuracy": number / 10,
        "val_loss": math.inf if number == 3 else 3.0 / number,
        "learning_rate": 0.001,
        "seconds": 0.5,
    }
    for number in (1, 2, 3)
)


def make_network(folder, *, fresh=True, example=True):
    """Write the folder of a finished training, whose network is not a real one."""
    folder.mkdir(exist_ok=True)
    (folder / "model.keras").write_bytes(b"a network")
    (folder / "summary.txt").write_text("Total params: 26")
    if example:
        np.save(folder / "example.npy", np.full((1, 8, 8, 3), 127.456, np.float32))
    return TrainedNetwork(folder, "toynet 8px", EPOCHS, 2, ("ant", "bee", "ölm"), 8, fresh)


def record(outbox, network, *, epochs=EPOCHS, label=None):
    """Record a run that trains the network, or reuses it if `epochs` is empty; return its id."""
    config = make_config(outbox.uri, cache=outbox.cache)
    with start_run(config, make_split(), identity="trained") as run:
        logger = MlflowTrainingLogger(run)
        if label:
            logger = logger.for_network(label)
        for number, figures in enumerate(epochs, 1):
            logger.on_epoch_end(number, figures)
        logger.on_train_end(network)
    outbox.deliver()
    return run.box.run.run_id


def history(client, run_id, name):
    return [(m.step, m.value) for m in client.get_metric_history(run_id, name)]


def artifacts(client, run_id):
    return Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))


def models(client, run_id):
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.search_logged_models([experiment])
    return [model for model in logged if model.source_run_id == run_id]

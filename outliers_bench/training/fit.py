"""Train a network with Keras `fit`, from initial weights to the saved network."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.splits.by_class import hold_out
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.runtime.progress import progress_bar, status
from outliers_bench.runtime.training_observer import TrainedNetwork, TrainingObserver
from outliers_bench.store.files import write_atomically
from outliers_bench.store.seal import is_intact, seal
from outliers_bench.training.assemble import (
    build_inference_network,
    build_training_network,
    copy_weights,
)
from outliers_bench.training.base import TrainedModel
from outliers_bench.training.callback import TrainingCallback
from outliers_bench.training.dataset import Examples
from outliers_bench.training.options import ClassWeights
from outliers_bench.training.saved_network import NetworkMetadata, read_metadata, write_metadata
from outliers_bench.types import FloatArray, ImageSet, IntArray

RECORD = "training.json"  # written last, so its presence marks a finished training
NETWORK = "model.keras"
_SEALED = (RECORD, NETWORK)


@dataclass(frozen=True)
class TrainingTask:
    """A network to train, with its data."""

    option: TrainedModel
    part: ImageSet  # with labels; the images have the network's size
    # From rows of `part` to inputs: pixels, or the vectors of a frozen backbone.
    fetch: Callable[[IntArray], npt.NDArray[Any]]


def load_finished(folder: Path, name: str) -> TrainedNetwork | None:
    """Load the record of a finished training; None if it or the network is absent or damaged."""
    if not (folder / RECORD).exists() or not is_intact(folder, _SEALED):
        return None
    try:
        read_metadata(folder / NETWORK)
        record = json.loads((folder / RECORD).read_text())
        return TrainedNetwork(
            folder=folder,
            name=name,
            epochs=tuple(record["epochs"]),
            best_epoch=int(record["best_epoch"]),
            classes=tuple(record["classes"]),
            image_size=int(record["image_size"]),
            fresh=False,
        )
    except (OSError, ValueError, KeyError, TypeError, BenchError):
        return None


def train(task: TrainingTask, folder: Path, observer: TrainingObserver) -> TrainedNetwork:
    """Train a network, or resume an interrupted training, and save the network.

    The folder gets the checkpoints and, at the end, `model.keras`, `summary.txt`, `example.npy` and
    `training.json`.

    Raises
    ------
    BenchError
        If the loss becomes infinite or NaN, or memory is insufficient.
    """
    option = task.option
    with status("loading TensorFlow"):
        tf = import_tensorflow()
        import keras

    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.clear_session()
    _set_determinism(tf, on=option.deterministic)
    classes, targets = binarize_labels(task.part)
    training_rows, validation_rows = hold_out(task.part, option.validation, seed=option.random_seed)
    seed, size = option.random_seed, option.batch_size
    training = Examples(task.fetch, targets, training_rows, size, seed=seed)
    validation = Examples(task.fetch, targets, validation_rows, size)
    with status(f"building {option.name}"):
        first = task.fetch(training_rows[:1])
        width = None if first.ndim > 2 else first.shape[1]  # images or vectors
        network = build_training_network(option, len(classes), width=width)
    with progress_bar(option.epochs * training.steps) as show_progress:
        callback = TrainingCallback(network, option, training, folder, observer, show_progress)
        if not option.resume:
            callback.remove_checkpoints()
        callback.resume()
        epochs_done = len(callback.epochs)
        show_progress(epochs_done * training.steps, f"epoch {epochs_done + 1}/{option.epochs}")
        if not callback.is_finished:
            keras_callback = keras.callbacks.LambdaCallback(
                on_epoch_begin=callback.on_epoch_begin,
                on_epoch_end=callback.on_epoch_end,
                on_train_batch_end=callback.on_train_batch_end,
            )
            try:
                network.fit(
                    training.dataset(),
                    validation_data=validation.dataset() if len(validation_rows) else None,
                    epochs=option.epochs,
                    initial_epoch=epochs_done,
                    callbacks=[keras_callback],
                    class_weight=class_weights(targets[training_rows], option.class_weights),
                    verbose=0,
                    shuffle=False,
                )
            except tf.errors.ResourceExhaustedError as error:
                raise BenchError(
                    f"model={option.name}: not enough memory for model.batch_size="
                    f"{option.batch_size} at {option.image_size} pixels; use smaller ones"
                ) from error
            except tf.errors.OpError as error:
                for examples in (training, validation):
                    if examples.failure is not None:
                        raise examples.failure from None
                if option.deterministic and "determinis" in str(error):
                    raise BenchError(
                        f"model={option.name} cannot be trained with deterministic=true here: "
                        f"{' '.join(str(error).split())[:200]}"
                    ) from error
                raise
    callback.restore_best_weights()
    with status(f"saving {option.name}"):
        _save(task, network, classes, folder)
        record = {
            "best_epoch": callback.best_epoch,
            "epochs": callback.epochs,
            "classes": classes,
            "image_size": option.image_size,
        }
        with write_atomically(folder / RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=2))
        seal(folder, _SEALED)
    callback.remove_checkpoints()
    epochs, best_epoch = tuple(callback.epochs), callback.best_epoch
    return TrainedNetwork(
        folder, option.name, epochs, best_epoch, classes, option.image_size, fresh=True
    )


def _set_determinism(tf: Any, *, on: bool) -> None:  # noqa: ANN401
    """Turn TensorFlow's deterministic operations, which are slower, on or off."""
    if on:
        tf.config.experimental.enable_op_determinism()
        return
    # Not public, but needed: the jobs of a sweep share a process.
    with suppress(ImportError, AttributeError):
        from tensorflow.python.framework.config import disable_op_determinism

        disable_op_determinism()


def binarize_labels(part: ImageSet) -> tuple[tuple[str, ...], FloatArray]:
    """Return the sorted class names of a part and its one-hot labels, shape (n, classes)."""
    labels = [] if part.labels is None else part.labels.tolist()
    names, indices = np.unique([part.classes[label] for label in labels], return_inverse=True)
    return tuple(names.tolist()), np.eye(len(names), dtype=np.float32)[indices]


def class_weights(targets: FloatArray, kind: ClassWeights) -> dict[int, float] | None:
    """Return n / (classes * images of the class), as scikit-learn's `balanced`."""
    if kind is ClassWeights.none:
        return None
    # With groups, all images of a class may be in the validation part.
    counts = np.maximum(targets.sum(axis=0), 1)
    return dict(enumerate((len(targets) / (len(counts) * counts)).tolist()))


def _save(
    task: TrainingTask,
    network: Any,  # noqa: ANN401 - keras.Model
    classes: tuple[str, ...],
    folder: Path,
) -> None:
    option = task.option
    inference = build_inference_network(option, len(classes))
    copy_weights(inference, network, option)
    widths = {layer.value: int(output.shape[-1]) for layer, output in inference.outputs.items()}
    with write_atomically(folder / NETWORK) as temporary:
        inference.network.save(temporary)
        write_metadata(temporary, NetworkMetadata(option.architecture_options(), classes, widths))
    lines: list[str] = []
    inference.network.summary(line_length=100, expand_nested=True, print_fn=lines.append)
    (folder / "summary.txt").write_text("\n".join(lines) + "\n")
    example = task.part.read(0)[None].astype(np.float32)
    np.save(folder / "example.npy", example, allow_pickle=False)

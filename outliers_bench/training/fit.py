"""One training from first weights to a network that is kept, by keras' fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.split import hold_out
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.runtime.progress import counted, status
from outliers_bench.runtime.training_observer import TrainedNetwork, TrainingObserver
from outliers_bench.store.files import written
from outliers_bench.training.assemble import build_backbone, copy_weights, build_inference_network
from outliers_bench.training.base import TrainedModel
from outliers_bench.training.callback import TrainingCallback
from outliers_bench.training.compile import build_compiled_network
from outliers_bench.training.dataset import Examples
from outliers_bench.training.options import ClassWeights
from outliers_bench.training.saved_network import NetworkMetadata, write_metadata
from outliers_bench.types import FloatArray, ImageSet, IntArray

RECORD = "training.json"  # written last
NETWORK = "model.keras"


@dataclass(frozen=True)
class TrainingTask:
    """What is to be learned, from what.

    Parameters
    ----------
    option : Trained
        Which network, and how.
    part : ImageSet
        The train part, with labels.
    fetch : callable
        From rows of `part` to inputs: pixels, or the vectors of a frozen body.
    width : int or None
        Length of those vectors; None where inputs are pixels.
    example : callable
        Gives one image as the network takes it, float32, shape (1, side, side, 3).
    """

    option: TrainedModel
    part: ImageSet
    fetch: Callable[[IntArray], npt.NDArray[Any]]
    width: int | None
    example: Callable[[], FloatArray]


def load_finished(folder: Path, option: TrainedModel, *, fresh: bool = False) -> TrainedNetwork | None:
    """The training that was kept in a folder; None where it did not come to its end."""
    if not (folder / NETWORK).is_file():
        return None
    try:
        said = json.loads((folder / RECORD).read_text())
        return TrainedNetwork(
            folder=folder,
            name=option.name,
            epochs=tuple(said["epochs"]),
            best_epoch=int(said["best_epoch"]),
            classes=tuple(said["classes"]),
            image_size=int(said["image_size"]),
            fresh=fresh,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def train(task: TrainingTask, folder: Path, observer: TrainingObserver) -> TrainedNetwork:
    """Train, or go on with a training that was interrupted, and keep what came out.

    Parameters
    ----------
    task : Task
        What is to be learned.
    folder : Path
        Takes checkpoints and, at the end, `model.keras`, `summary.txt`, `example.npy` and
        `training.json`.
    observer : Watcher
        Is told of each epoch.

    Raises
    ------
    BenchError
        If the loss becomes infinite or NaN, or memory does not suffice.
    """
    option = task.option
    with status("loading TensorFlow"):
        tf = import_tensorflow()
        import keras

    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.clear_session()
    _set_determinism(tf, on=option.deterministic)
    classes, targets = binarize_labels(task.part)
    seen, held = hold_out(task.part, option.validation, seed=option.random_seed)
    learning = Examples(
        task.fetch,
        targets,
        seen,
        batch_size=option.batch_size,
        weights=_sample_weights(targets, seen, option.class_weights),
        seed=option.random_seed,
    )
    watching = Examples(task.fetch, targets, held, batch_size=option.batch_size)
    with status(f"building {option.name}"):
        network = build_compiled_network(option, len(classes), width=task.width)
    with counted(option.epochs * learning.steps) as show:
        course = TrainingCallback(
            network, option, learning, folder, observer, show=show, name=option.name
        )
        if not option.resume:
            course.remove_checkpoints()
        begun = course.resume()
        show(begun * learning.steps, f"epoch {begun + 1}/{option.epochs}")
        if not course.is_finished:
            events = keras.callbacks.LambdaCallback(
                on_epoch_begin=course.on_epoch_begin,
                on_epoch_end=course.on_epoch_end,
                on_train_batch_end=course.on_train_batch_end,
            )
            try:
                network.fit(
                    learning.dataset(),
                    validation_data=watching.dataset() if len(held) else None,
                    epochs=option.epochs,
                    initial_epoch=begun,
                    callbacks=[events],
                    verbose=0,
                    shuffle=False,
                )
            except tf.errors.ResourceExhaustedError as error:
                raise BenchError(
                    f"model={option.name}: not enough memory for model.batch_size="
                    f"{option.batch_size} at {option.image_size} pixels; give smaller ones"
                ) from error
            except tf.errors.OpError as error:
                for examples in (learning, watching):
                    if examples.failure is not None:
                        raise examples.failure from None
                if option.deterministic and "determinis" in str(error):
                    raise BenchError(
                        f"model={option.name} cannot be trained with deterministic=true here: "
                        f"{' '.join(str(error).split())[:200]}"
                    ) from error
                raise
    course.restore_best_weights()
    with status(f"keeping {option.name}"):
        _save(task, network, course, classes, folder)
    course.remove_checkpoints()
    done = load_finished(folder, option, fresh=True)
    if done is None:
        raise BenchError(f"{folder}: the trained network could not be kept there")
    return done


def _set_determinism(tf: Any, *, on: bool) -> None:  # noqa: ANN401
    """Let TensorFlow's operations give the same bits each time, or as fast as they can."""
    if on:
        tf.config.experimental.enable_op_determinism()
        return
    with suppress(ImportError, AttributeError):  # not public: the jobs of a sweep share a process
        from tensorflow.python.framework.config import disable_op_determinism

        disable_op_determinism()


def binarize_labels(part: ImageSet) -> tuple[tuple[str, ...], FloatArray]:
    """Names of the classes of a part, sorted, and its labels one-hot, shape (n, classes)."""
    from sklearn.preprocessing import LabelBinarizer

    labels = [] if part.labels is None else part.labels.tolist()
    binarizer = LabelBinarizer()
    targets = binarizer.fit_transform([part.classes[label] for label in labels])
    if targets.shape[1] == 1:  # two classes share a column there
        targets = np.hstack([1 - targets, targets])
    return tuple(map(str, binarizer.classes_)), targets.astype(np.float32)


def _sample_weights(targets: FloatArray, seen: IntArray, kind: ClassWeights) -> FloatArray | None:
    """Weight of every row: n / (classes * images of its class), as scikit-learn balances."""
    if kind is ClassWeights.none:
        return None
    counts = targets[seen].sum(axis=0)
    of_class = len(seen) / (len(counts) * np.maximum(counts, 1))
    weights: FloatArray = of_class[targets.argmax(axis=1)].astype(np.float32)
    return weights


def _save(
    task: TrainingTask,
    network: Any,  # noqa: ANN401 - keras.Model
    course: TrainingCallback,
    classes: tuple[str, ...],
    folder: Path,
) -> None:
    option = task.option
    kept = build_inference_network(option, len(classes))
    frozen = None if task.width is None else build_backbone(option, pretrained=True)
    copy_weights(kept, network, option, frozen)
    widths = {layer.value: int(output.shape[-1]) for layer, output in kept.outputs.items()}
    with written(folder / NETWORK) as aside:
        kept.network.save(aside)
        write_metadata(aside, NetworkMetadata(option.architecture_options(), classes, widths))
    lines: list[str] = []
    kept.network.summary(line_length=100, expand_nested=True, print_fn=lines.append)
    (folder / "summary.txt").write_text("\n".join(lines) + "\n")
    np.save(folder / "example.npy", task.example(), allow_pickle=False)
    said = {
        "best_epoch": course.best_epoch,
        "epochs": course.epochs,
        "classes": classes,
        "image_size": option.image_size,
    }
    with written(folder / RECORD) as aside:
        aside.write_text(json.dumps(said, indent=2))

"""Writer of trained networks in MLflow's model format, without Keras.

`mlflow.keras.save_model` would load TensorFlow and the network only to write the existing file
again. The layout is the one that it writes and `mlflow.keras.load_model` reads.
"""

from __future__ import annotations

import json
import platform
import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

WEIGHTS = "data/model.keras"  # path of the network in the model folder


@dataclass(frozen=True)
class KerasModel:
    """A network to log in MLflow.

    Parameters
    ----------
    file : str
        The `.keras` file; maps float32 pixels 0..255, shape (n, side, side, 3), to class
        probabilities.
    title : str
        Display name of the model.
    classes : tuple of str
        Classes of its outputs, in order.
    image_size : int
        Side of its input in pixels.
    example : str or None
        A `.npy` file with an input example, float32, shape (1, side, side, 3).
    step : int
        Epoch of its weights.
    metrics : tuple of str
        Names of the run's metrics that belong to this model.
    """

    file: str
    title: str
    classes: tuple[str, ...]
    image_size: int
    example: str | None
    step: int
    metrics: tuple[str, ...]


def write_model_folder(model: KerasModel, folder: Path, *, run_id: str, model_id: str) -> None:
    """Write a model folder that `mlflow.keras.load_model` can read.

    Parameters
    ----------
    model : KerasModel
        The network. Its file may be large and is linked rather than copied, if possible.
    folder : Path
        Existing, empty folder.
    run_id, model_id : str
        Ids of the run and the model in MLflow.
    """
    import yaml

    (folder / "data").mkdir()
    _link(Path(model.file), folder / WEIGHTS)
    (folder / "data" / "keras_module.txt").write_text("keras")
    requirements = [f"{name}=={version(name)}" for name in ("mlflow", "keras", "tensorflow")]
    (folder / "requirements.txt").write_text("\n".join(requirements))
    python = platform.python_version()
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": requirements}],
    }
    (folder / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False))
    environment = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    (folder / "python_env.yaml").write_text(yaml.safe_dump(environment, sort_keys=False))
    metadata: dict[str, object] = {
        "artifact_path": f"models:/{model_id}",
        "flavors": {
            "keras": {
                "data": "data",
                "keras_backend": "tensorflow",
                "keras_version": version("keras"),
                "save_exported_model": False,
            },
            "python_function": {
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.keras",
                "python_version": python,
            },
        },
        "metadata": {
            "title": model.title,
            "image_size": model.image_size,
            "input": "float32 RGB pixels, 0 to 255",
            "output": "probabilities of the classes, in this order",
            "epoch": model.step,
            "classes": list(model.classes),
        },
        "mlflow_version": version("mlflow"),
        "model_id": model_id,
        "model_uuid": uuid.uuid4().hex,
        "run_id": run_id,
        "signature": _signature(model),
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    if model.example is not None:
        metadata["saved_input_example_info"] = _write_example(Path(model.example), folder)
    metadata["model_size_bytes"] = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    (folder / "MLmodel").write_text(yaml.safe_dump(metadata), encoding="utf-8")


def _link(file: Path, target: Path) -> None:
    try:
        target.symlink_to(file.absolute())
    except OSError:  # on Windows, links need a permission
        shutil.copyfile(file, target)


def _signature(model: KerasModel) -> dict[str, str | None]:
    side = model.image_size
    shapes = {"inputs": [-1, side, side, 3], "outputs": [-1, len(model.classes)]}
    return {
        **{
            name: json.dumps(
                [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": shape}}]
            )
            for name, shape in shapes.items()
        },
        "params": None,
    }


def _write_example(file: Path, folder: Path) -> dict[str, str]:
    # Two decimals are enough for pixels of 0..255, and take a third of the bytes.
    example = np.round(np.load(file).astype(np.float64), 2).tolist()
    (folder / "input_example.json").write_text(json.dumps(example))
    (folder / "serving_input_example.json").write_text(json.dumps({"inputs": example}))
    return {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "ndarray",
    }

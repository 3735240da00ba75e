"""Trained networks as files: what they are called inside, and how they are told from others."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.errors import BenchError
from outliers_bench.features.located import is_model_uri, located

MARK = "trained_"  # what the name of a network that was trained here begins with
_LARGEST_CONFIG = 2**26  # bytes


def is_trained(weights: str) -> bool:
    """Whether `weights` names a network with its head, trained by this package.

    An address in MLflow counts as one before it is fetched; a file is looked into, as data.
    """
    path = located(weights)
    if path.suffix == ".keras" and path.is_file():
        return network_name(path).startswith(MARK)
    return is_model_uri(weights)


def network_name(path: Path) -> str:
    """What a `.keras` file calls its network; "" where it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo("config.json")
            if entry.file_size > _LARGEST_CONFIG:
                return ""
            return str(json.loads(archive.read(entry))["config"]["name"])
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return ""


@dataclass(frozen=True)
class Saved:
    """What a `.keras` file of ours says about its head.

    Parameters
    ----------
    classes : int
        How many it tells apart.
    penultimate : int
        Length of what its classifying layer sees.
    seen : int
        Length of what its head sees.
    hidden : int or None
        Units of its hidden layer, if it has one.
    side : int
        Of its images, in pixels.
    bias : bool
        Whether its classifying layer has one; after ArcFace it has none.
    """

    classes: int
    penultimate: int
    seen: int
    hidden: int | None
    side: int
    bias: bool


def described(path: Path) -> Saved:
    """Read what a trained network's file says about its head, without loading it.

    Raises
    ------
    BenchError
        If it is no network that was trained here.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))["config"]
        layers = {layer["config"]["name"]: layer for layer in config["layers"]}
        scores, hidden = layers["scores"], layers.get("hidden")
        first = hidden or scores
        return Saved(
            classes=int(scores["config"]["units"]),
            penultimate=int(scores["build_config"]["input_shape"][-1]),
            seen=int(first["build_config"]["input_shape"][-1]),
            hidden=None if hidden is None else int(hidden["config"]["units"]),
            side=int(layers["pixels"]["config"]["batch_shape"][1]),
            bias=bool(scores["config"]["use_bias"]),
        )
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise BenchError(
            f"{path}: this is no network that was trained here ({type(error).__name__}: {error})"
        ) from error

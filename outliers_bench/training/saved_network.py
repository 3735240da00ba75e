"""Trained networks as files: what they say of themselves, beside what Keras keeps in them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from outliers_bench.errors import BenchError
from outliers_bench.models.model_uris import is_model_uri, resolve_uri

_ENTRY = "outliers_bench.json"  # in the archive that a `.keras` file is; Keras looks past it
_MAX_BYTES = 2**24  # bytes


@dataclass(frozen=True)
class NetworkMetadata:
    """What a trained network's file says of it.

    Parameters
    ----------
    options : mapping of str to object
        What decides its layers; see `Trained.shape`.
    classes : tuple of str
        What its outputs stand for, in order.
    dimensions : mapping of str to int
        Length of the output of each `Layer`, by its name.
    """

    options: Mapping[str, Any]
    classes: tuple[str, ...]
    dimensions: Mapping[str, int]


def write_metadata(path: Path, saved: NetworkMetadata) -> None:
    """Write into a `.keras` file what it holds."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_ENTRY, json.dumps(asdict(saved)))


def read_metadata(path: Path) -> NetworkMetadata:
    """What a file says that `write_metadata` has written to; read as data, without loading the network.

    Raises
    ------
    BenchError
        If it is no network that was trained here.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_ENTRY) as entry:
            said = json.loads(entry.read(_MAX_BYTES))
        return NetworkMetadata(
            options=dict(said["options"]),
            classes=tuple(map(str, said["classes"])),
            dimensions={str(layer): int(n) for layer, n in said["dimensions"].items()},
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise BenchError(
            f"{path}: this is no network that was trained here ({type(error).__name__}: {error})"
        ) from error


def is_trained(weights: str) -> bool:
    """Whether `weights` names a network with its head, trained by this package.

    An address in MLflow counts as one before it is fetched; a file is looked into, as data.
    """
    path = resolve_uri(weights)
    if not path.is_file():
        return is_model_uri(weights)
    try:
        with zipfile.ZipFile(path) as archive:
            return _ENTRY in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False

"""Metadata stored in the files of trained networks."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from outliers_bench.errors import BenchError
from outliers_bench.models.model_uris import is_model_uri, resolve_uri

_ENTRY = "outliers_bench.json"  # entry of the `.keras` zip archive, which Keras ignores
_MAX_BYTES = 2**24


@dataclass(frozen=True)
class NetworkMetadata:
    """Metadata of a trained network."""

    options: Mapping[str, Any]  # see `TrainedModel.architecture_options`
    classes: tuple[str, ...]  # in the order of its outputs
    dimensions: Mapping[str, int]  # length of the output of each `Layer`, by name


def write_metadata(path: Path, saved: NetworkMetadata) -> None:
    """Add metadata to a `.keras` file."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_ENTRY, json.dumps(asdict(saved)))


def read_metadata(path: Path) -> NetworkMetadata:
    """Read the metadata of a `.keras` file, without loading the network.

    Raises
    ------
    BenchError
        If the file is not a network trained by this package.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_ENTRY) as entry:
            content = json.loads(entry.read(_MAX_BYTES))
        return NetworkMetadata(
            options=dict(content["options"]),
            classes=tuple(map(str, content["classes"])),
            dimensions={str(layer): int(n) for layer, n in content["dimensions"].items()},
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise BenchError(
            f"{path}: not a network trained by this package ({type(error).__name__}: {error})"
        ) from error


def is_trained(weights: str) -> bool:
    """Check whether `weights` names a network, with its head, trained by this package.

    An MLflow URI counts as one before it is downloaded; a file is inspected without loading it.
    """
    path = resolve_uri(weights)
    if not path.is_file():
        return is_model_uri(weights)
    with suppress(BenchError):
        read_metadata(path)
        return True
    return False

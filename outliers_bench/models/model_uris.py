"""Local paths of weights that were downloaded from MLflow."""

from __future__ import annotations

from pathlib import Path

from outliers_bench.data.image_files import absolute_path

MODEL_SCHEMES = ("runs:", "models:")
_downloads: dict[str, Path] = {}


def is_model_uri(weights: str) -> bool:
    """Check whether `weights` is the URI of a model in MLflow rather than a path."""
    return weights.startswith(MODEL_SCHEMES)


def register_download(uri: str, path: Path) -> None:
    """Record the local path of a model downloaded from MLflow."""
    _downloads[uri] = path


def resolve_uri(weights: str) -> Path:
    """Return the local path of weights, given as a path or a URI that is registered already."""
    return _downloads.get(weights, absolute_path(weights, "model.weights"))

"""Where weights lie that are named by an address in MLflow and were fetched from there."""

from __future__ import annotations

from pathlib import Path

MODEL_SCHEMES = ("runs:", "models:")
_downloads: dict[str, Path] = {}


def is_model_uri(weights: str) -> bool:
    """Whether `weights` names a model in MLflow and not a file."""
    return weights.startswith(MODEL_SCHEMES)


def register_download(uri: str, path: Path) -> None:
    """Take down where a model of MLflow has been put on this machine."""
    _downloads[uri] = path


def resolve_uri(weights: str) -> Path:
    """The file that `weights` names.

    Parameters
    ----------
    weights : str
        A path, or an address in MLflow that `register_download` knows.
    """
    return _downloads.get(weights, Path(weights).expanduser())

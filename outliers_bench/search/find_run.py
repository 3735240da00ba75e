"""The run that is searched: by its card in the cache, or, where there is none, by MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outliers_bench.data.files import usual_cache
from outliers_bench.errors import BenchError
from outliers_bench.search.card import RunCard, find_card
from outliers_bench.tracking.store import resolve_uri


def open_run(run: str, *, uri: str, cache: str | None) -> tuple[RunCard, Path]:
    """A finished run, and the directory of what it has computed.

    Parameters
    ----------
    run : str
        Its id, a beginning of it, or `last`.
    uri : str
        Where runs are recorded.
    cache : str or None
        Directory of what is kept between runs; None takes the usual one, and for what the run has
        computed the run's own.

    Raises
    ------
    BenchError
        If there is no such run, or it cannot be searched any more.
    """
    near = usual_cache(cache)
    if cache is not None and not near.is_dir():
        raise BenchError(f"cache={cache}: there is no such folder")
    card = find_card(near, run, uri=resolve_uri(uri))
    if card is None:
        # MLflow takes seconds, and is imported only here.
        from outliers_bench.search.from_mlflow import from_mlflow

        card = from_mlflow(run, uri=uri, near=near, given=cache is not None)
    return card, near if cache is not None else cache_of(card.config, card.folder, near)


def cache_of(values: Mapping[str, Any], folder: str | Path, near: Path) -> Path:
    """The cache that a run's config names, or `near` where that is not on this machine."""
    own = Path(folder, Path(str(values["cache"]["dir"])).expanduser())
    return own if own.is_dir() else near

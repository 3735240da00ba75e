"""A run of which the cache has no card: found in MLflow, and its photos where they were."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

from outliers_bench.data.image_files import resolve_cache_dir
from outliers_bench.errors import BenchError
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.methods.build import build
from outliers_bench.models.model_uris import register_download
from outliers_bench.runtime.meter import Meter
from outliers_bench.serving.recorded_config import config_of
from outliers_bench.serving.saved_run import SavedRun, find_card
from outliers_bench.tracking.lookup import KnownRun, check_store_exists, download_artifact, find_run
from outliers_bench.tracking.models import download_model
from outliers_bench.tracking.recorder import Recorder, get_recorder
from outliers_bench.tracking.store import database_path, resolve_uri


def from_mlflow(run: str, *, uri: str, near: Path, given: bool) -> SavedRun:
    """The card of a run that MLflow knows, kept from here on.

    Takes seconds: MLflow is imported, and the photos are looked for and cut again.

    Parameters
    ----------
    run : str
        See `find_run`.
    uri : str
        Tracking URI.
    near : Path
        The cache that the card is kept in.
    given : bool
        Whether that is to be used for all else as well, and not the run's own.

    Raises
    ------
    BenchError
        If there is no such run, it has not finished, or its photos are not what they were.
    """
    check_store_exists(uri)
    process = get_recorder(uri)
    known = process.call(find_run, run)
    values = _values(known, process)
    # As a rule it was started where its database lies, from where relative paths count.
    database = database_path(uri)
    folder = database.parent if database is not None else Path.cwd()
    cache = near if given else cache_of(values, folder, near)
    card = None
    for place in {near: None, cache: None}:
        card = card or find_card(place, known.run_id, uri=resolve_uri(uri))
    if card is None:
        with chdir(folder):
            card = _rebuilt(known, values, process, cache=cache, uri=resolve_uri(uri))
    card.keep(near)
    return card


def _rebuilt(
    known: KnownRun, values: dict[str, Any], process: Recorder, *, cache: Path, uri: str
) -> SavedRun:
    """The card that the run would have left, if its photos are still what they were."""
    config = config_of({**values, "cache": {"dir": str(cache)}})
    for address in config.model.model_uris:
        found = process.call(download_model, address, str(cache / "fetched"))
        register_download(address, Path(found))
    audited = splits.load_audited(config.data, seed=config.seed, cache=cache)
    # Without the photos that the method cannot read, as the run has found on its way.
    method = build(config, Meter())
    damaged = method.extract(audited.original.images, commit=lambda: None)
    split = audited.without(damaged).split
    then = known.tags.get("split_fingerprint", "unknown")
    if split.fingerprint != then:
        raise BenchError(
            f"the photos of {split.name} are not those of the run {known.run_id[:8]} any more "
            f"(split {split.fingerprint[:8]}, then {then[:8]}), and the cache does not know which "
            f"it had; run it again: python -m outliers_bench {known.tags.get('overrides', '')}"
        )
    card = SavedRun.of(config, split, run_id=known.run_id, name=known.name, uri=uri)
    return replace(card, config=values, finished=0.0)


def _values(known: KnownRun, process: Recorder) -> dict[str, Any]:
    import yaml

    with tempfile.TemporaryDirectory() as folder:
        file = process.call(download_artifact, known.run_id, "config.yaml", folder)
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise BenchError(f"run {known.run_id[:8]}: {file} cannot be read ({error})") from None
    if not isinstance(values, dict):
        raise BenchError(f"run {known.run_id[:8]}: {file.name} is no config; run it again")
    values.pop("tracking", None)  # may hold a password
    return values


def open_run(run: str, *, uri: str, cache: str | None) -> tuple[SavedRun, Path]:
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
    near = resolve_cache_dir(cache)
    if cache is not None and not near.is_dir():
        raise BenchError(f"cache={cache}: there is no such folder")
    card = find_card(near, run, uri=resolve_uri(uri))
    if card is None:
        # MLflow takes seconds, and is imported only here.
        pass

        card = from_mlflow(run, uri=uri, near=near, given=cache is not None)
    return card, near if cache is not None else cache_of(card.config, card.folder, near)


def cache_of(values: Mapping[str, Any], folder: str | Path, near: Path) -> Path:
    """The cache that a run's config names, or `near` where that is not on this machine."""
    own = Path(folder, Path(str(values["cache"]["dir"])).expanduser())
    return own if own.is_dir() else near

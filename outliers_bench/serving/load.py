"""Loading of a finished run: from the cache, or from MLflow and the original photos."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.data.image_files import resolve_cache_dir
from outliers_bench.errors import BenchError
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.models.model_uris import register_download
from outliers_bench.runtime.meter import Meter
from outliers_bench.serving.recorded_config import restore_config
from outliers_bench.serving.saved_run import SavedRun, find_saved_run
from outliers_bench.tracking.lookup import check_store_exists, download_artifact, find_run
from outliers_bench.tracking.models import download_model
from outliers_bench.tracking.outbox import KEY_TAG
from outliers_bench.tracking.store import connection, database_path, resolve_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def load_from_mlflow(run: str, *, uri: str, cache: Path, use_run_cache: bool) -> SavedRun:
    """Load a run from MLflow and save it in the cache.

    This takes seconds: MLflow is imported, and the photos are listed and split again.
    `use_run_cache` uses the cache that is named in the run's config for everything else.

    Raises
    ------
    BenchError
        If there is no such run, it has not finished, or its photos have changed.
    """
    check_store_exists(uri)
    with connection(uri) as client:
        known = find_run(client, run)
        values = _load_config(known.info.run_id, client)
        # Relative paths in the config are relative to the folder where the run was started, which
        # usually is that of the database.
        database = database_path(uri)
        folder = database.parent if database is not None else Path.cwd()
        run_cache = find_run_cache(values, folder, cache) if use_run_cache else cache
        saved = None
        for directory in {cache: None, run_cache: None}:
            for name in (known.info.run_id, known.data.tags.get(KEY_TAG, "")):
                saved = saved or find_saved_run(directory, name, uri=resolve_uri(uri))
        if saved is None:
            with chdir(folder):
                saved = _rebuild(known, values, client, cache=run_cache, uri=resolve_uri(uri))
    saved = replace(saved, run_id=known.info.run_id)  # else its key, if the receipt was removed
    saved.save(cache)
    return saved


def _rebuild(
    known: Run, values: dict[str, Any], client: MlflowClient, *, cache: Path, uri: str
) -> SavedRun:
    """Rebuild the saved run from the config and the photos, if these are unchanged."""
    config = restore_config({**values, "cache": {"dir": str(cache)}})
    for model_uri in config.model.model_uris:
        path = download_model(client, model_uri, str(cache / "fetched"))
        register_download(model_uri, Path(path))
    audited = splits.load_audited(config.data, seed=config.seed, cache=cache)
    # Exclude photos that the method cannot read, as the run did.
    method = config.method(Meter())
    damaged = method.extract(audited.original.images)
    split = audited.without(damaged).split
    run_id, tags = known.info.run_id, known.data.tags
    recorded = tags.get("split_fingerprint", "unknown")
    if split.fingerprint != recorded:
        raise BenchError(
            f"the photos of {split.name} are not those of the run {run_id[:8]} any more "
            f"(split {split.fingerprint[:8]}, recorded {recorded[:8]}), and the cache has no list "
            f"of them; run it again: python -m outliers_bench {tags.get('overrides', '')}"
        )
    saved = SavedRun.create(config, split, run_id=run_id, name=known.info.run_name, uri=uri)
    return replace(saved, config=values, finished=0.0)


def _load_config(run_id: str, client: MlflowClient) -> dict[str, Any]:
    import yaml

    with tempfile.TemporaryDirectory() as folder:
        file = download_artifact(client, run_id, "config.yaml", folder)
        try:
            values: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
            values.pop("tracking", None)  # may contain a password
        except (yaml.YAMLError, ValueError, AttributeError) as error:
            raise BenchError(f"run {run_id[:8]}: {file.name} is damaged ({error})") from None
    return values


def open_run(run: str, *, uri: str, cache: str | None) -> tuple[SavedRun, Path]:
    """Open a finished run.

    Parameters
    ----------
    run : str
        Id of the run, a prefix of it, or `last`.
    uri : str
        Tracking URI.
    cache : str or None
        Cache directory; None means the default, and for results of the run the cache that is
        named in its config.

    Returns
    -------
    run : SavedRun
    cache : Path
        Cache directory with the results of the run.

    Raises
    ------
    BenchError
        If there is no such run, or it can no longer be searched.
    """
    directory = resolve_cache_dir(cache)
    if cache is not None and not directory.is_dir():
        raise BenchError(f"cache={cache}: there is no such folder")
    saved = find_saved_run(directory, run, uri=resolve_uri(uri))
    if saved is None:
        saved = load_from_mlflow(run, uri=uri, cache=directory, use_run_cache=cache is None)
    if cache is None:
        directory = find_run_cache(saved.config, saved.folder, directory)
    return saved, directory


def find_run_cache(values: Mapping[str, Any], folder: str | Path, default: Path) -> Path:
    """Return the cache directory in a run's config, or the default if it does not exist."""
    # An unknown ~ is left: the folder does not exist on this machine.
    path = Path(folder, os.path.expanduser(str(values["cache"]["dir"])))  # noqa: PTH111
    return path if path.is_dir() else default

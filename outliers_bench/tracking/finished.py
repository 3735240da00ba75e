"""Lookup of a finished run with the same identity, in MLflow and in the outbox."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from outliers_bench.config import published_tags
from outliers_bench.errors import BenchError
from outliers_bench.models.precision import precision_label
from outliers_bench.result import FinishedRun
from outliers_bench.tracking import runs, senders
from outliers_bench.tracking.lookup import search_runs
from outliers_bench.tracking.outbox import Box, waiting
from outliers_bench.tracking.records import name_of
from outliers_bench.tracking.store import connection
from outliers_bench.types import Split

if TYPE_CHECKING:
    from outliers_bench.config.schema import Config

_log = logging.getLogger(__name__)


def find_finished(
    config: Config, split: Split, digest: str, overrides: Sequence[str]
) -> FinishedRun | None:
    """Return the newest finished run with an identity; None if there is none, or MLflow is away.

    A run may be a row of several tables; the tags `table` and `row` name the one it was computed
    for, and a tag for this one is added.
    """
    experiment = config.tracking.experiment or split.name
    precision = precision_label(config.model, config.engine, config.cache.path)
    tags = published_tags.tags(config.published, overrides, precision=precision)
    rows = {tag: row for tag, row in tags.items() if tag.startswith("published.")}
    wanted = {"identity": digest, **rows}
    store = senders.store_of(config.cache.path, config.tracking.uri)
    for box in reversed(waiting(*store)):
        with suppress(OSError, ValueError):  # delivered meanwhile
            start = box.start
            same = start.experiment == experiment and wanted.items() <= start.tags.items()
            if same and (found := _finished(box)):
                return found
    if senders.outage(store) is not None:
        return None  # reported by the caller
    try:
        with connection(config.tracking.uri) as client:
            known = client.get_experiment_by_name(experiment)
            query = f"tags.identity = '{digest}' and attributes.status = 'FINISHED'"
            newest = "attributes.start_time DESC"
            ids = [] if known is None else [known.experiment_id]
            run = next(search_runs(client, query, experiments=ids, order=newest, page=1), None)
            if run is None:
                return None
            if rows:
                runs.add_tags(client, run.info.run_id, rows)
    except BenchError as error:
        _log.warning("skip_finished: finished runs cannot be looked up (%s)", error)
        return None
    return FinishedRun(
        run_id=run.info.run_id,
        name=run.info.run_name,
        data=run.data.tags.get("data", ""),
        begun=run.info.start_time / 1000,
        metrics=dict(run.data.metrics),
        cluster=run.data.tags.get("cluster", ""),
    )


def _finished(box: Box) -> FinishedRun | None:
    """Return the run of a box as finished, if it is."""
    if box.last_arguments().get("status") != "FINISHED":
        return None
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    for record in box.records():
        if record.call == name_of(runs.log_run):
            metrics |= record.arguments["metrics"]
            tags |= record.arguments["tags"]
    return FinishedRun(
        run_id=box.key,
        name=box.start.name,
        data=box.start.tags.get("data", ""),
        begun=box.start.time / 1000,
        metrics=metrics,
        cluster=tags.get("cluster", ""),
    )

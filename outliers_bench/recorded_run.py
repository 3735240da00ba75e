"""One recorded run: not computed again if finished earlier, else run, recorded and shown."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from secrets import token_hex
from typing import NamedTuple

from outliers_bench import benchmark
from outliers_bench.benchmark import Prepared
from outliers_bench.config.identity import identity
from outliers_bench.config.schema import Config
from outliers_bench.reports.terminal import show_finished, show_record, show_result
from outliers_bench.result import FinishedRun, Result
from outliers_bench.runtime.invocation import with_current_python
from outliers_bench.serving.saved_run import save_run
from outliers_bench.tracking import senders
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.finished import find_finished
from outliers_bench.tracking.log_result import log_result
from outliers_bench.tracking.logged_models import link_model
from outliers_bench.tracking.models import fetch_models
from outliers_bench.tracking.outbox import Box, current_sweep
from outliers_bench.tracking.runs import tag_reused_run
from outliers_bench.tracking.store import check_uri
from outliers_bench.tracking.training_logger import MlflowTrainingLogger
from outliers_bench.types import Split

_log = logging.getLogger(__name__)


def prepare(config: Config) -> Prepared:
    """Check the tracking URI, download models from MLflow, and prepare as `benchmark.prepare`.

    Raises
    ------
    BenchError
        If an option, the photos, a model's URI or the tracking URI cannot be used.
    """
    check_uri(config.tracking.uri)
    config.cache.check()
    if current_sweep() is None:
        senders.announce(*senders.store_of(config.cache.path, config.tracking.uri))
    fetch_models(config)
    return benchmark.prepare(config)


class Part(NamedTuple):
    """Run on one split of a repeated run, which is on the leaderboard instead of it."""

    box: Box
    """That of the repeated run."""
    identity: str
    number: int


def reuse(
    config: Config, split: Split, digest: str, overrides: Sequence[str], *, show: bool = True
) -> FinishedRun | None:
    """Return the finished run with an identity, as a job of the current sweep, and show it.

    None if there is none, or `skip_finished` is not set.
    """
    earlier = find_finished(config, split, digest, overrides) if config.skip_finished else None
    if earlier is None:
        return None
    if (sweep := current_sweep()) is not None:
        suffix = token_hex(3)
        sweep.add(tag_reused_run, found=earlier.run_id, name=earlier.name, suffix=suffix)
    if show:
        show_finished(earlier)
    return earlier


def run(
    prepared: Prepared,
    *,
    overrides: Sequence[str] = (),
    show: bool = True,
    part: Part | None = None,
) -> Result | FinishedRun:
    """Rank, evaluate, record in the outbox, and show.

    A single run waits until MLflow has it; a job of a sweep only until it has an id there.

    Parameters
    ----------
    prepared : Prepared
        From `prepare`.
    overrides : sequence of str
        Options of the command line, recorded so that the run can be repeated.
    show : bool
        Print the result and where it is recorded.
    part : Part or None
        For one split of a repeated run, which is always run.

    Returns
    -------
    Result or FinishedRun
        The latter if `skip_finished` found a finished run with the same identity.

    Raises
    ------
    BenchError
        If weights do not fit, or too many images cannot be read.
    """
    config, split = prepared.config, prepared.split
    if part is None:
        digest, sweep, tags = identity(config, split), current_sweep(), None
        if earlier := reuse(config, split, digest, overrides, show=show):
            return earlier
    else:
        digest, sweep = part.identity, part.box
        tags = {"kind": "split", "split": str(part.number)}
    store = senders.store_of(config.cache.path, config.tracking.uri)
    if problem := senders.new_outage(store):
        _log.warning("the run will wait in the outbox: %s", problem)
    with start_run(
        config, split, identity=digest, sweep=sweep, overrides=overrides, tags=tags
    ) as recording:
        for uri in config.model.model_uris:
            recording.add(link_model, uri=uri)
        result = benchmark.run(prepared, MlflowTrainingLogger(recording))
        if show:
            show_result(result, recording.box.start.name)
        pictures = log_result(recording, result, config)
        save_run(config, result.split, recording.box)
    problems = []
    if sweep is None:
        problems = senders.finish()
    else:
        senders.wait_for_run(recording.box)
    run = recording.box.run
    where = None if pictures is None else str(pictures)
    if run and pictures and (sweep is not None or not pictures.exists()):
        where = f"{run.artifact_uri}/pictures"
    if show:
        show_record(run, where)
    for problem in problems:
        print(f"note: {with_current_python(problem)}", file=sys.stderr)
    return result

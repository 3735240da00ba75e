"""One recorded run: not computed again if finished earlier, else run, recorded and shown."""

from __future__ import annotations

from collections.abc import Sequence

from outliers_bench import benchmark
from outliers_bench.benchmark import Prepared
from outliers_bench.config import published_tags
from outliers_bench.config.identity import identity
from outliers_bench.config.schema import Config
from outliers_bench.models.precision import precision_label
from outliers_bench.reports.terminal import show_finished, show_run
from outliers_bench.result import FinishedRun, Result
from outliers_bench.serving.saved_run import save_run
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.current_sweep import parent_run
from outliers_bench.tracking.log_result import log_result
from outliers_bench.tracking.models import fetch_models, link_model
from outliers_bench.tracking.recorder import get_recorder
from outliers_bench.tracking.runs import add_tags, find_finished, tag_reused_run
from outliers_bench.tracking.store import check_uri
from outliers_bench.tracking.training_logger import MlflowTrainingLogger
from outliers_bench.types import Split


def prepare(config: Config) -> Prepared:
    """Check the tracking URI, download models from MLflow, and prepare as `benchmark.prepare`.

    Raises
    ------
    BenchError
        If an option, the photos, a model's URI or the tracking URI cannot be used.
    """
    check_uri(config.tracking.uri)
    config.cache.check()
    fetch_models(config)
    return benchmark.prepare(config)


def run(prepared: Prepared, *, overrides: Sequence[str] = ()) -> Result | FinishedRun:
    """Rank, evaluate, record in MLflow, and show.

    Parameters
    ----------
    prepared : Prepared
        From `prepare`.
    overrides : sequence of str
        Options of the command line, recorded so that the run can be repeated.

    Returns
    -------
    Result or FinishedRun
        The latter if `skip_finished` found a finished run with the same identity.

    Raises
    ------
    BenchError
        If weights do not fit, too many images cannot be read, or MLflow cannot be reached.
    """
    config, split = prepared.config, prepared.split
    digest = identity(config, split)
    if config.skip_finished and (earlier := _find_finished(config, split, digest, overrides)):
        show_finished(earlier)
        return earlier
    with start_run(
        config, split, identity=digest, parent=parent_run(), overrides=overrides
    ) as recording:
        for uri in config.model.model_uris:
            recording.submit(link_model, uri)
        result = benchmark.run(prepared, MlflowTrainingLogger(recording))
        contact_sheets = log_result(recording, result, config)
        save_run(config, result.split, recording.confirm())
    show_run(result, recording.confirm(), contact_sheets=contact_sheets)
    return result


def _find_finished(
    config: Config, split: Split, digest: str, overrides: Sequence[str]
) -> FinishedRun | None:
    tracking = get_recorder(config.tracking.uri)
    run = tracking.call(find_finished, config.tracking.experiment or split.name, digest)
    if run is None:
        return None
    # A run may be a row of several tables; `table` and `row` name the one it was computed for.
    precision = precision_label(config.model, config.engine, config.cache.path)
    rows = published_tags.tags(config.published, overrides, precision=precision)
    if rows := {tag: row for tag, row in rows.items() if tag.startswith("published.")}:
        tracking.call(add_tags, run.run_id, rows)
    if (parent := parent_run()) is not None:
        tracking.call(tag_reused_run, parent, run)
    return run

"""One run, top to bottom: split the data, rank with a method, evaluate the ranking, record it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from outliers_bench.config import published
from outliers_bench.config.identity import identity
from outliers_bench.config.schema import Config
from outliers_bench.data.source import check_unreadable
from outliers_bench.duplicates.find import is_cached
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import confidence_intervals, count_relevant, evaluate
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.leakage.policy import AuditedSplit
from outliers_bench.methods.build import build
from outliers_bench.methods.method import Method
from outliers_bench.methods.warn_unused import warn_unused_training_options
from outliers_bench.models.model_uris import register_download
from outliers_bench.models.precision import precision_label
from outliers_bench.reports.terminal import show_finished, show_run
from outliers_bench.rescore import score_leakage
from outliers_bench.result import Result
from outliers_bench.runtime.meter import Meter
from outliers_bench.serving.saved_run import save_run
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.current_sweep import parent_run
from outliers_bench.tracking.log_result import log_result
from outliers_bench.tracking.models import download_model, link_model
from outliers_bench.tracking.recorder import get_recorder
from outliers_bench.tracking.runs import add_tags, find_finished, tag_reused_run
from outliers_bench.tracking.store import check_uri, database_path
from outliers_bench.tracking.training_logger import MlflowTrainingLogger
from outliers_bench.types import IntArray, Split


class Prepared(NamedTuple):
    """A run whose options and photos have been checked."""

    config: Config
    audited: AuditedSplit
    method: Method
    meter: Meter

    @property
    def split(self) -> Split:
        """Split to rank and score."""
        return self.audited.split


def prepare(config: Config) -> Prepared:
    """Load, split and audit the photos, and check everything that can be checked before the work.

    Raises
    ------
    BenchError
        If an option, the photos or the tracking store cannot be used.
    """
    check_uri(config.tracking.uri)
    config.cache.check()
    meter = Meter.start()
    with meter.stage("load"):
        given = splits.load_unaudited(config.data, seed=config.seed, cache=config.cache.path)
    for uri in config.model.model_uris:
        target = str(config.cache.path / "fetched")
        register_download(
            uri, Path(get_recorder(config.tracking.uri).call(download_model, uri, target))
        )
        config.model.check()
    method = build(config, meter)
    warn_unused_training_options(config)
    check(config, given, method)  # before the audit, which decodes new photos
    if database_path(config.tracking.uri) is None and not is_cached(
        given.images, cache=config.cache.path
    ):
        get_recorder(config.tracking.uri).call(bool)  # raises if no server answers
    with meter.stage("audit"):
        audited = splits.load_audited(
            config.data, seed=config.seed, cache=config.cache.path, unaudited=given
        )
    if audited.is_filtered:
        check(config, audited.split, method)
    return Prepared(config, audited, method, meter)


def run(prepared: Prepared, *, overrides: Sequence[str] = ()) -> Result | None:
    """Rank, evaluate, record in MLflow, and show.

    Parameters
    ----------
    prepared : Prepared
        From `prepare`.
    overrides : sequence of str
        Options of the command line, recorded so that the run can be repeated.

    Returns
    -------
    Result or None
        None if `skip_finished` found a finished run with the same identity.

    Raises
    ------
    BenchError
        If weights do not fit, too many images cannot be read, or MLflow cannot be reached.
    """
    config, audited, method, meter = prepared
    split = audited.split
    digest = identity(config, split)
    if config.skip_finished and _finished(config, split, digest, overrides):
        return None

    with start_run(
        config,
        split,
        identity=digest,
        parent=parent_run(),
        overrides=overrides,
    ) as recording:
        for uri in config.model.model_uris:
            recording.submit(link_model, uri)
        images = audited.original.images
        total = len(images) + len(audited.original.left_out)
        audited = audited.without(method.extract(images, commit=recording.confirm))
        split = audited.split
        check_unreadable(split.left_out, total=total, limit=config.data.max_unreadable)
        method.fit(split, MlflowTrainingLogger(recording))
        ranking = method.rank(split, depth(config, split))
        evaluation = None
        if split.labeled:
            with meter.stage("evaluate"):
                evaluation = evaluate(ranking, split, k=config.k)
                intervals = confidence_intervals(evaluation.per_query, seed=config.seed)
                evaluation = replace(evaluation, intervals=intervals)
        costs = meter.costs(len(split.query))
        leakage_scores = score_leakage(config, method, audited, depth)
        result = Result(split, ranking, evaluation, costs, audited.leaks, leakage_scores)
        sheets = method.match_sheets(result) if config.contact_sheets.queries else {}
        contact_sheets = log_result(recording, result, config, more_sheets=sheets)
        save_run(config, split, recording.confirm())
    show_run(result, recording.confirm(), contact_sheets=contact_sheets)
    return result


def check(config: Config, split: Split, method: Method) -> None:
    """Refuse a split that cannot be scored as requested, before any image is decoded.

    Raises
    ------
    BenchError
        If k is larger than the gallery, no query has a relevant image, or the method refuses.
    """
    reachable = len(split.gallery) - int(split.leave_one_out)
    if max(config.k) > reachable:
        raise BenchError(
            f"k={max(config.k)} is larger than the gallery of {split.name}, which has "
            f"{reachable} to find; give smaller cutoffs, such as "
            f"k=[{','.join(map(str, sorted({1, reachable})))}]"
        )
    if split.labeled and not _relevant(split).any():
        raise BenchError(
            f"{split.name}: no query has a gallery image of its class, so nothing could be "
            "scored; query and gallery must share class names"
        )
    method.check(split)


def depth(config: Config, split: Split) -> int:
    """Return the depth to rank to: enough for every k, for MAP@R, and for the contact sheets."""
    reachable = len(split.gallery) - int(split.leave_one_out)
    required = max(*config.k, config.contact_sheets.depth)
    if split.labeled:
        required = max(required, int(_relevant(split).max()))
    return min(required, reachable)


def _relevant(split: Split) -> IntArray:
    return count_relevant(split.query, split.gallery, leave_one_out=split.leave_one_out)


def _finished(config: Config, split: Split, digest: str, overrides: Sequence[str]) -> bool:
    tracking = get_recorder(config.tracking.uri)
    run = tracking.call(find_finished, config.tracking.experiment or split.name, digest)
    if run is None:
        return False
    # A run may be a row of several tables; `table` and `row` name the one it was computed for.
    precision = precision_label(config.model, config.engine, config.cache.path)
    rows = published.tags(config.published, overrides, precision=precision)
    if rows := {tag: row for tag, row in rows.items() if tag.startswith("published.")}:
        tracking.call(add_tags, run.run_id, rows)
    if (parent := parent_run()) is not None:
        tracking.call(tag_reused_run, parent, run)
    show_finished(run)
    return True

"""Repeated run: one method on several random splits, recorded as one run with a child for each."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from outliers_bench.benchmark import Prepared
from outliers_bench.config.identity import identity
from outliers_bench.config.schema import Config
from outliers_bench.data.source import DataSource
from outliers_bench.evaluation.choose_clusters import PHOTO, QUERY, choose_unit
from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.evaluation.metrics import DEFINITIONS
from outliers_bench.evaluation.pooled import pool_evaluations, spread
from outliers_bench.evaluation.statistics import name_scores, name_statistics
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.recorded_run import Part, prepare, reuse, run
from outliers_bench.reports.terminal import show_record
from outliers_bench.result import FinishedRun, Result
from outliers_bench.runtime.invocation import with_current_python
from outliers_bench.runtime.visible_text import write_csv
from outliers_bench.sweeps.repeats_report import describe, split_line, summary
from outliers_bench.sweeps.space import check_splits
from outliers_bench.tracking import senders
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.artifacts import per_query_table
from outliers_bench.tracking.log_result import collect_metrics
from outliers_bench.tracking.outbox import current_sweep

_STATISTICS = ("ci95/", "chance/", "design_effect/", "smallest_difference/", "clusters")


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Figures of the run on one split, as the summary needs them."""

    evaluation: Evaluation
    metrics: dict[str, float]
    header: Sequence[str]
    rows: list[Sequence[object]]
    labels: list[str]


def run_repeats(config: Config, overrides: Sequence[str]) -> FinishedRun:
    """Run a method on several splits, and record mean, spread and intervals as one run.

    Splits have the seeds from 0, or are the folds of one seed; all are checked before the work.
    The queries of all splits are pooled: a score is the mean over them, and its interval is over
    their clusters, of which an individual, or a photo, is the same in every split.
    `spread/<metric>` is the standard deviation between the scores of the splits.

    Raises
    ------
    BenchError
        If an option or the photos cannot be used, nothing is random in the split, or photos have
        no labels.
    """
    prepared = _prepare(config)
    digests = [identity(each.config, each.split) for each in prepared]
    digest, fingerprint = _digest(digests), _digest([each.split.fingerprint for each in prepared])
    sweep, split = current_sweep(), prepared[0].split
    if earlier := reuse(config, split, digest, overrides):
        return earlier
    tags = {
        "kind": "repeated run",
        "split_fingerprint": fingerprint,
        "splits": str(len(prepared)),
        "evaluation": DEFINITIONS,
        "cluster": _unit(prepared[0].config),
    }
    with start_run(
        config, split, identity=digest, sweep=sweep, overrides=overrides, tags=tags
    ) as recording:
        name = recording.box.start.name
        print(f"\n{name}  on  {split.name}, {len(prepared)} splits", flush=True)
        outcomes = []
        for number, (each, own) in enumerate(zip(prepared, digests, strict=True)):
            part = Part(recording.box, f"{own} of {digest}", number)
            result = run(
                each, overrides=_overrides(overrides, each.config.data), show=False, part=part
            )
            assert isinstance(result, Result)  # noqa: S101 - a part is always run
            outcomes.append(_outcome(result))
            print(split_line(f"split {number}", outcomes[-1].metrics), flush=True)
        pooled = _pool(outcomes, prepared[0].config)
        metrics = _metrics(outcomes, pooled)
        folder = recording.box.new_folder()
        _write_tables(outcomes, folder)
        note = describe(metrics, [each.metrics for each in outcomes], pooled, overrides)
        recording.log(folder, tags={"mlflow.note.content": note}, metrics=metrics)
    print("\n".join(summary(metrics, pooled)))
    problems = []
    if sweep is None:
        problems = senders.finish()
    else:
        senders.wait_for_run(recording.box)
    show_record(recording.box.run, None)
    for problem in problems:
        print(f"note: {with_current_python(problem)}", file=sys.stderr)
    return FinishedRun(
        run_id=recording.box.key,
        name=name,
        data=split.name,
        begun=recording.box.start.time / 1000,
        metrics=metrics,
        cluster=tags["cluster"],
    )


def _prepare(config: Config) -> list[Prepared]:
    """Load and check every split, with the same kind of clusters for all."""
    sources = config.data.each_split()
    splits.keep(len(sources))
    every = [prepare(replace(config, data=source)) for source in sources]
    check_splits(config.data, [each.split for each in every])
    unit = choose_unit(every[0].split, config.statistics.cluster)
    return [
        each._replace(
            config=replace(each.config, statistics=replace(config.statistics, cluster=unit))
        )
        for each in every
    ]


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()


def _overrides(overrides: Sequence[str], source: DataSource) -> list[str]:
    """Return the overrides that repeat the run on one split."""
    fold = getattr(source, "fold", None)
    if fold is not None:
        return [*overrides, f"data.fold={fold}"]
    own = [word for word in overrides if not word.lstrip("+").startswith("data.repeats=")]
    return [*own, "data.repeats=1", f"data.split_seed={source.split_seed}"]


def _outcome(result: Result) -> _Outcome:
    evaluation = result.evaluation
    assert evaluation is not None  # noqa: S101 - checked by `_prepare`
    header, rows = per_query_table(result, evaluation)
    listed = list(rows)
    at = header.index("class")
    return _Outcome(
        evaluation, collect_metrics(result), header, listed, [str(row[at]) for row in listed]
    )


def _cluster_names(outcomes: Sequence[_Outcome]) -> list[str]:
    """Return the cluster of each query of all splits; a photo without one is its own."""
    names = []
    for outcome in outcomes:
        query, cluster = (outcome.header.index(column) for column in ("query", "cluster"))
        names += [str(row[cluster]) or f"query {row[query]}" for row in outcome.rows]
    return names


def _unit(config: Config) -> str:
    unit = config.statistics.cluster
    return PHOTO if unit == QUERY else unit


def _pool(outcomes: Sequence[_Outcome], config: Config) -> Evaluation:
    unit = _unit(config)
    return pool_evaluations(
        [outcome.evaluation for outcome in outcomes],
        labels=[label for outcome in outcomes for label in outcome.labels],
        clusters=_cluster_names(outcomes),
        unit=unit,
        seed=config.seed,
    )


def _metrics(outcomes: Sequence[_Outcome], pooled: Evaluation) -> dict[str, float]:
    """Return scores of all queries, their spread between splits, and means of costs and counts."""
    every = [outcome.metrics for outcome in outcomes]
    common = [name for name in every[0] if all(name in metrics for metrics in every)]
    means = {
        name: float(np.mean([metrics[name] for metrics in every]))
        for name in common
        if not name.startswith(_STATISTICS)
    }
    scores = name_scores(pooled)
    intervals = {
        f"ci95/{name}_{end}": value
        for name, ends in pooled.intervals.items()
        for end, value in zip(("low", "high"), ends, strict=True)
    }
    return {
        **scores,
        **{name: value for name, value in means.items() if name not in scores},
        "splits": float(len(every)),
        "queries": float(sum(metrics["queries"] for metrics in every)),
        **{f"spread/{name}": spread([m[name] for m in every]) for name in scores if name in common},
        **name_statistics(pooled),
        **intervals,
    }


def _write_tables(outcomes: Sequence[_Outcome], folder: Path) -> None:
    """Write the scores of every query, named `<split>/<query>`, and those of every split."""
    clusters = iter(_cluster_names(outcomes))
    header = outcomes[0].header
    query, cluster = header.index("query"), header.index("cluster")
    with (folder / "per_query.csv").open("w", newline="", encoding="utf-8") as file:
        table: list[Sequence[object]] = [("split", *header)]
        for number, outcome in enumerate(outcomes):
            for row in outcome.rows:
                cells = list(row)
                cells[query], cells[cluster] = f"{number}/{row[query]}", next(clusters)
                table.append((number, *cells))
        write_csv(file, table)
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.metrics))
    with (folder / "splits.csv").open("w", newline="", encoding="utf-8") as file:
        scores = [
            (number, *(outcome.metrics.get(name, "") for name in names))
            for number, outcome in enumerate(outcomes)
        ]
        write_csv(file, [("split", *names), *scores])

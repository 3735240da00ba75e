"""Logging of a run's result in MLflow: metrics, tables, pictures, and a description."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from outliers_bench.data.class_counts import count_classes
from outliers_bench.data.opencv import opencv
from outliers_bench.evaluation.metrics import DEFINITIONS
from outliers_bench.evaluation.statistics import name_scores, name_statistics
from outliers_bench.reports.burst_rows import burst_rows
from outliers_bench.reports.cmc_plot import draw_cmc
from outliers_bench.reports.contact_sheet import draw_contact_sheets
from outliers_bench.reports.leakage_sheet import draw_leakage_sheet
from outliers_bench.result import RECORDED_DEPTH, Result
from outliers_bench.tracking.active_run import ActiveRun
from outliers_bench.tracking.artifacts import write_tables
from outliers_bench.tracking.description import describe_result
from outliers_bench.tracking.outbox import RUN_ID
from outliers_bench.types import RGB, LeftOutKind

if TYPE_CHECKING:
    from outliers_bench.config.schema import Config

_ENCODERS = 4  # threads that encode contact sheets
_QUALITY = 90  # JPEG quality of pictures


def collect_metrics(result: Result) -> dict[str, float]:
    """Return all numbers of a result by their names in MLflow.

    Scores have their own names, stage timings are `seconds_<stage>`. `images_per_second` is the
    rate at which the features of this model were computed with this engine, by this run or an
    earlier one. Unknown values (scores without labels, a rate that was not measured) are absent.
    Photos that are in two parts are counted as `leaks_...`. If there are any, the scores without
    them are `without_leaks/<metric>`, or, if they were removed, the scores with them are
    `with_leaks/<metric>`. See `name_statistics` for clusters and chance. The bounds of the 95%
    intervals, `ci95/<metric>_low` and `_high`, are last.
    """
    costs, split = result.costs, result.split
    left_out = Counter[str](item.kind for item in split.left_out)
    scores = {} if result.evaluation is None else name_scores(result.evaluation)
    intervals = {} if result.evaluation is None else dict(result.evaluation.intervals)
    if result.leakage_scores is not None:
        scores = {**scores, **result.leakage_scores.metrics}
        intervals |= result.leakage_scores.intervals
    if result.burst_scores is not None:
        scores = {**scores, **result.burst_scores.metrics}
        intervals |= result.burst_scores.intervals
    numbers: dict[str, float | None] = {
        **scores,  # first, because MLflow's pages preserve the order
        **({} if result.leaks is None else result.leaks.counts()),
        "images_per_second": costs.images_per_second,
        "search_ms_per_query": costs.search_ms_per_query,
        "recall_at_10": costs.recall_at_10,
        "index_bytes": costs.index_bytes,
        "index_build_seconds": costs.index_build_seconds,
        "peak_memory_bytes": costs.peak_memory_bytes,
        "dimensions": costs.dimensions,
        "features_computed": costs.features_computed,
        "features_reused": costs.features_reused,
        "queries": len(split.query),
        "gallery_images": len(split.gallery),
        "train_images": len(split.train),
        **{_count_name(kind): left_out[kind] for kind in get_args(LeftOutKind)},
        **count_classes(split).metrics(),
        **costs.counts,
        **{f"seconds_{stage}": seconds for stage, seconds in costs.seconds.items()},
    }
    if result.evaluation is not None:
        numbers["queries_without_relevant"] = result.evaluation.queries_without_relevant
        numbers |= name_statistics(result.evaluation)
    for name, (low, high) in intervals.items():
        numbers |= {f"ci95/{name}_low": low, f"ci95/{name}_high": high}
    return {name: float(value) for name, value in numbers.items() if value is not None}


def _count_name(kind: LeftOutKind) -> str:
    return f"{'files' if kind in ('other', 'system') else 'images'}_{kind}"


def log_result(run: ActiveRun, result: Result, config: Config) -> Path | None:
    """Log the result of a run: metrics, tables, pictures, description.

    Returns
    -------
    Path or None
        Folder of the contact sheets in the outbox, until they are delivered; None without any.
    """
    shown = config.contact_sheets
    sheets: dict[str, RGB] = {
        **draw_contact_sheets(
            result,
            queries=shown.queries,
            depth=shown.depth,
            seed=config.seed,
            captions=shown.captions,
        ),
        **(result.match_sheets(result, shown.queries) if shown.queries else {}),
    }
    if result.leaks and shown.queries:
        leaking = draw_leakage_sheet(result.leaks, name=result.split.name)
        sheets |= {} if leaking is None else {"leaks": leaking}
    folder = run.box.new_folder()
    # Pictures are encoded while the tables are written.
    with ThreadPoolExecutor(_ENCODERS) as pool:
        names = [f"{name}.jpg" for name in sheets]
        if sheets:
            (folder / "pictures").mkdir()
            if result.evaluation is not None and (cmc := result.evaluation.cmc) is not None:
                title = f"{run.box.start.name}  on  {result.split.name}"
                names.append("cmc.svg")
                (folder / "pictures" / names[-1]).write_text(draw_cmc(cmc, title), "utf-8")
        encoded = [
            pool.submit(_save, sheet, folder / "pictures" / f"{name}.jpg")
            for name, sheet in sheets.items()
        ]
        write_tables(result, folder, depth=RECORDED_DEPTH)
        note = describe_result(
            result,
            name=run.box.start.name,
            run_id=RUN_ID,
            overrides=run.overrides,
            pictures=[*names, *run.logged_pictures],
        )
        # Logged again, because photos found unreadable during the run are no longer in the split.
        tags = {"mlflow.note.content": note, "split_fingerprint": result.split.fingerprint}
        if result.evaluation is not None and result.evaluation.clusters is not None:
            tags |= {"evaluation": DEFINITIONS, "cluster": result.evaluation.clusters.unit}
        if rows := burst_rows(result):
            tags["bursts"] = rows[0][1]
        metrics = collect_metrics(result)
        for future in encoded:
            future.result()
    run.log(folder, tags=tags, metrics=metrics)
    return folder / "pictures" if sheets else None


def _save(sheet: RGB, path: Path) -> None:
    """Write a picture as JPEG with OpenCV, because Pillow's encoder blocks other threads."""
    cv2 = opencv()
    pixels = cv2.cvtColor(np.asarray(sheet), cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not encoded:
        high, wide = pixels.shape[:2]
        raise OSError(f"{path.name}: {wide:,} x {high:,} pixels are too large for a JPEG")
    path.write_bytes(data)

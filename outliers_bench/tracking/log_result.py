"""What a run found, into MLflow: metrics, tables, pictures, and a description to read."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.data.opencv import opencv
from outliers_bench.reports.contact_sheet import contact_sheets
from outliers_bench.reports.leakage_sheet import leaks_sheet
from outliers_bench.result import Result
from outliers_bench.tracking.active_run import ActiveRun
from outliers_bench.tracking.artifacts import write_tables
from outliers_bench.tracking.description import describe_result
from outliers_bench.types import RGB

if TYPE_CHECKING:
    from PIL.Image import Image

    from outliers_bench.config.schema import Config

_RANKING_DEPTH = 300  # gallery images a query that are kept in ranking.parquet
_ENCODERS = 4  # sheets that are encoded at once
_QUALITY = 90  # of a picture's JPEG
_LEFT_OUT = {
    "unreadable": "images_unreadable",
    "unsupported": "images_unsupported",
    "duplicate": "images_duplicate",
    "conflicting_labels": "images_conflicting_labels",
}


def collect_metrics(result: Result) -> dict[str, float]:
    """Every number of a result under its name in MLflow.

    Scores stand under their own names, stage timings as `seconds_<stage>`. `images_per_second` is
    the rate at which the features of this model were computed with this engine, by this run or an
    earlier one. What is not known (scores without labels, a rate that nobody measured) is absent.
    Photos that stand in two parts are counted as `leaks_...`, and where there are some, the scores
    without them, or with them where they were dropped, are `without_leaks/<metric>` and
    `with_leaks/<metric>`. The ends of the 95% intervals, `ci95/<metric>_low` and `_high`, stand
    last.
    """
    costs, split = result.costs, result.split
    left_out = Counter[str](item.kind for item in split.left_out)
    scores = {} if result.evaluation is None else result.evaluation.metrics
    intervals = {} if result.evaluation is None else dict(result.evaluation.intervals)
    if result.leakage_scores is not None:
        scores = {**scores, **result.leakage_scores.metrics}
        intervals |= result.leakage_scores.intervals
    numbers: dict[str, float | None] = {
        **scores,  # first, as MLflow's pages keep the order
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
        **{name: left_out[kind] for kind, name in _LEFT_OUT.items()},
        **costs.counts,
        **{f"seconds_{stage}": seconds for stage, seconds in costs.seconds.items()},
    }
    if result.evaluation is not None:
        numbers["queries_without_relevant"] = result.evaluation.queries_without_relevant
    for name, (low, high) in intervals.items():
        numbers |= {f"ci95/{name}_low": low, f"ci95/{name}_high": high}
    return {name: float(value) for name, value in numbers.items() if value is not None}


def log_result(
    recording: ActiveRun,
    result: Result,
    config: Config,
    *,
    more_sheets: Mapping[str, Image] | None = None,
) -> list[str]:
    """Record what a run found: metrics, tables, pictures, description.

    Parameters
    ----------
    recording : Recording
        From `start_run`.
    result : Result
        Split, ranking, scores, costs.
    config : Config
        Says how many queries to picture, and with which seed.
    more_sheets : mapping of str to PIL.Image.Image, optional
        The method's own pictures by name.

    Returns
    -------
    list of str
        Names of the contact sheets among the run's artifacts; empty where none were drawn.
    """
    shown = config.contact_sheets
    sheets: dict[str, RGB | Image] = {
        **contact_sheets(result, queries=shown.queries, depth=shown.depth, seed=config.seed),
        **(more_sheets or {}),
    }
    if result.leaks and shown.queries:
        leaking = leaks_sheet(result.leaks, name=result.split.name)
        sheets |= {} if leaking is None else {"leaks": leaking}
    folder = tempfile.mkdtemp()
    try:
        # The pictures are encoded while the rest is written.
        with ThreadPoolExecutor(_ENCODERS) as pool:
            if sheets:
                (Path(folder) / "pictures").mkdir()
            encoded = [
                pool.submit(_save, sheet, Path(folder) / "pictures" / f"{name}.jpg")
                for name, sheet in sheets.items()
            ]
            write_tables(result, Path(folder), depth=_RANKING_DEPTH)
            handle = recording.confirm()
            note = describe_result(
                result,
                name=handle.name,
                run_id=handle.run_id,
                overrides=recording.overrides,
                pictures=[*(f"{name}.jpg" for name in sheets), *recording.logged_pictures],
            )
            # Photos found unreadable on the way are in no part any more; tables compare what was
            # scored.
            tags = {"mlflow.note.content": note, "split_fingerprint": result.split.fingerprint}
            metrics = collect_metrics(result)
            for each in encoded:
                each.result()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    recording.log_final(artifacts=folder, tags=tags, metrics=metrics)
    return list(sheets)


def _save(sheet: RGB | Image, path: Path) -> None:
    """Write a picture as JPEG, while other threads run: Pillow's encoder would make them wait."""
    cv2 = opencv()
    # Of a contact sheet this is no copy.
    pixels = np.ascontiguousarray(np.asarray(sheet)[..., ::-1])
    encoded, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not encoded:
        high, wide = pixels.shape[:2]
        raise OSError(f"{path.name}: {wide:,} x {high:,} pixels are too many for a JPEG")
    path.write_bytes(data)

"""Result of a run as HTML, for notebooks."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

from outliers_bench.data.opencv import opencv
from outliers_bench.reports.burst_rows import burst_rows
from outliers_bench.reports.data_summary import data_rows
from outliers_bench.reports.numbers import (
    cost_rows,
    leakage_rows,
    score_rows,
    statistics_rows,
)
from outliers_bench.result import Result
from outliers_bench.types import RGB

_QUALITY = 75  # of JPEG: a notebook has the pictures in it
_CELL = "text-align:left;vertical-align:top;padding:1px 12px 1px 0"


def result_html(result: Result, name: str, sheets: Mapping[str, RGB]) -> str:
    """Return a result as HTML: scores with 95% intervals, costs, and contact sheets.

    Parameters
    ----------
    result : Result
    name : str
        Name of the method.
    sheets : mapping of str to array of uint8, shape (height, width, 3)
        Contact sheets by name.
    """
    facts = [
        *statistics_rows(result.evaluation),
        *data_rows(result.split),
        *leakage_rows(result),
        *burst_rows(result),
        *cost_rows(result),
    ]
    parts = [
        f"<p><b>{escape(name)}</b> on <b>{escape(result.split.name)}</b></p>",
        _table(score_rows(result) or [("", "No labels, so nothing was scored.")]),
        f"<details><summary>counts and costs</summary>{_table(facts)}</details>",
        *(_picture(name, sheet) for name, sheet in sheets.items()),
    ]
    return f'<div class="outliers-bench">{"".join(parts)}</div>'


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><td style="{_CELL}">{escape(name)}</td><td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in rows
    )
    return f"<table>{cells}</table>"


def _picture(name: str, sheet: RGB) -> str:
    cv2 = opencv()
    pixels = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    text = base64.b64encode(data.tobytes()).decode()
    alt = f"{name} queries, each next to the gallery images found for it"
    return f'<img alt="{escape(alt)}" style="max-width:100%" src="data:image/jpeg;base64,{text}">'

"""Label Studio exports (JSON and JSON-MIN): rectangles in percent, labels, and choices."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from outliers_bench.data.annotations.annotation_table import WHOLE, AnnotationTable, scalars

_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")  # the name of a file that was uploaded

_OF_TASK = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")


def is_label_studio(content: Any) -> bool:  # noqa: ANN401 - JSON
    """Check whether JSON has the form of a Label Studio export."""
    if not isinstance(content, list) or not content:
        return False
    return all(isinstance(task, dict) for task in content) and any(
        isinstance(task.get("data"), dict) or _image_key(task) for task in content
    )


def read_label_studio(content: list[dict[str, Any]], place: str, *, root: Path) -> AnnotationTable:
    """Return a row for each rectangle, or for each photo that has choices only.

    The label is that of the rectangle, or else the first choice. Choices and texts are columns,
    too. Of several annotations of a photo, the ground truth is used, or else the first. Tasks
    without one are excluded.

    Parameters
    ----------
    content : list of dict
        The JSON.
    place : str
        The option that names the file, for messages.
    root : Path
        Folder of the photos; the names that Label Studio gave to uploaded files are reverted if
        only the original names are there.

    Raises
    ------
    BenchError
        If a value is missing or has another type.
    """
    table = AnnotationTable(place, "Label Studio", relative=True)
    for number, task in enumerate(content):
        with table.entry(f"task {number} (from 0)"):
            data = task["data"] if isinstance(task.get("data"), dict) else task
            key = _image_key(data)
            if key is None:
                raise ValueError("it has no image")
            path = _find_file(data[key], root)
            results = _results(task)
            others = scalars(data, key, *_OF_TASK)
            if not results and (texts := _texts_of_min(task, others)):
                table.add(path, texts[0] if len(texts) == 1 else "", WHOLE, others=others)
                continue
            if not results:
                table.exclude(path, "unlabeled", "has no annotation")
                continue
            _add_regions(table, path, results, others)
    return table


def _texts_of_min(task: dict[str, Any], others: dict[str, Any]) -> list[str]:
    """Return the texts of an annotated task in JSON-MIN, where a single choice is plain text."""
    if "data" in task or "annotation_id" not in task:
        return []
    return [value for value in others.values() if isinstance(value, str) and value]


def _add_regions(
    table: AnnotationTable, path: str, results: list[dict[str, Any]], others: dict[str, Any]
) -> None:
    """Add the rectangles of a photo, or the photo."""
    texts: dict[object, dict[str, Any]] = {}  # by region; None for the photo
    rectangles: dict[object, dict[str, Any]] = {}
    regions = {each.get("id") for each in results if "width" in each["value"]}
    for each in results:
        value, region = each["value"], each.get("id")
        region = region if region in regions else None
        if "width" in value:
            rectangles.setdefault(region, each)
        for kind in ("rectanglelabels", "labels", "choices", "text"):
            if chosen := value.get(kind):
                values = chosen if isinstance(chosen, list) else [chosen]
                name = str(each.get("from_name", kind))
                texts.setdefault(region, {})[name] = ", ".join(map(str, values))
    of_photo = texts.get(None, {})
    if not rectangles:
        label = next(iter(of_photo.values()), "")
        table.add(path, label, WHOLE, others={**others, **of_photo})
    for region, each in rectangles.items():
        if each.get("image_rotation"):
            table.exclude(path, "unusable_box", "its photo was rotated in Label Studio")
            continue
        own = texts.get(region, {})
        label = ", ".join(each["value"].get("rectanglelabels", ()))
        label = label or next(iter({**own, **of_photo}.values()), "")
        size = int(each.get("original_width", 0)), int(each.get("original_height", 0))
        box = _to_box(each["value"], size)
        table.add(path, label, box, size=size, others={**others, **of_photo, **own})


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results of the annotation of a task."""
    if isinstance(task.get("data"), dict):
        done = [each for each in task.get("annotations", []) if not each.get("was_cancelled")]
        done.sort(key=lambda each: not each.get("ground_truth"))
        return [each for each in done[0]["result"] if "value" in each] if done else []
    # JSON-MIN: regions and choices are values of the task, by the name of the control.
    results = []
    for name, value in task.items():
        if isinstance(value, dict) and "choices" in value:
            results.append({"from_name": name, "value": value})
        for region, each in enumerate(value if isinstance(value, list) else ()):
            if isinstance(each, dict) and "width" in each:
                results.append({**each, "id": (name, region), "from_name": name, "value": each})
    return results


def _to_box(value: dict[str, Any], size: tuple[int, int]) -> tuple[float, ...]:
    """Return the shares of the photo of the upright rectangle around a rectangle in percent."""
    x, y, width, height = (float(value[key]) / 100 for key in ("x", "y", "width", "height"))
    angle = math.radians(float(value.get("rotation", 0)))
    if not angle or not all(size):
        return x, y, width, height
    # It is rotated clockwise around its left upper corner, in pixels.
    cos, sin, aspect = math.cos(angle), math.sin(angle), size[1] / size[0]
    corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)]
    xs = [x + a * cos - b * sin * aspect for a, b in corners]
    ys = [y + a * sin / aspect + b * cos for a, b in corners]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _image_key(data: dict[str, Any]) -> str | None:
    """Return the name of the value that is the path of a photo."""
    for name in ("image", "img", "photo", "image_url", "url"):
        if isinstance(data.get(name), str):
            return name
    paths = [name for name, value in data.items() if isinstance(value, str) and "/data/" in value]
    return paths[0] if len(paths) == 1 else None


def _find_file(address: str, root: Path) -> str:
    """Return the path of a photo in a folder, as far as it is there."""
    parts = urlsplit(address)
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0].lstrip("/")
    name = path.rpartition("/")[2]
    uploaded = _UPLOADED.fullmatch(name)
    candidates = [path, path.removeprefix("data/"), name, *([uploaded[1]] if uploaded else [])]
    # Storage in a folder: the path begins above the folder of the photos.
    pieces = path.split("/")
    candidates += ["/".join(pieces[at:]) for at in range(1, len(pieces))]
    return next((each for each in candidates if (root / each).is_file()), path)

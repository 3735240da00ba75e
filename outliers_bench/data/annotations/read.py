"""Reading of annotations in JSON; the format is recognized by content."""

from __future__ import annotations

import json
from pathlib import Path

from outliers_bench.data.annotations.annotation_table import AnnotationTable
from outliers_bench.data.annotations.coco import is_coco, read_coco
from outliers_bench.data.annotations.label_studio import is_label_studio, read_label_studio
from outliers_bench.data.annotations.megadetector import (
    DetectionOptions,
    is_megadetector,
    read_megadetector,
)
from outliers_bench.errors import BenchError

_LINES = (".jsonl", ".ndjson")  # tables, a row per line
_HEAD = 64  # bytes
_BEFORE = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"  # marks of the encoding, and blanks


def read_annotations(
    file: Path, place: str, *, root: Path, detections: DetectionOptions
) -> AnnotationTable | None:
    """Read a file of annotations.

    Parameters
    ----------
    file : Path
        COCO, MegaDetector or Label Studio JSON.
    place : str
        The option that names the file, for messages.
    root : Path
        Folder that paths in it are relative to.
    detections : DetectionOptions
        Detections of MegaDetector that are used, and their labels.

    Returns
    -------
    AnnotationTable or None
        None if the file is not one JSON text, but a table.

    Raises
    ------
    BenchError
        If the JSON is damaged or of another format.
    """
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD).lstrip(_BEFORE)
            if not head.startswith((b"{", b"[")) or file.suffix.lower() in _LINES:
                return None
            opened.seek(0)
            content = json.loads(opened.read())
    except OSError:
        return None  # reported by the reader of tables
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return None  # JSON lines
        raise BenchError(
            f"{place}: line {error.lineno}, column {error.colno} is not valid JSON: {error.msg}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{place} is not valid JSON: {error}") from None
    if is_coco(content):
        return read_coco(content, place)
    if is_megadetector(content):
        return read_megadetector(content, place, detections, root=root)
    if is_label_studio(content):
        return read_label_studio(content, place, root=root)
    raise BenchError(
        f"{place}: this JSON is none of the three that are known: COCO (images, annotations, "
        "categories), MegaDetector (images with detections) and Label Studio (a list of tasks); "
        "write a table as CSV or as JSON lines, one object per line"
    )

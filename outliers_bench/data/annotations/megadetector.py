"""MegaDetector results: detections with a category, a confidence and a relative box."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outliers_bench.data.annotations.annotation_table import AnnotationTable, scalars, to_box
from outliers_bench.data.parts import find_parts
from outliers_bench.data.path_labels import LABEL, PathLabels
from outliers_bench.errors import BenchError

MEGADETECTOR = "MegaDetector"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DetectionOptions:
    """Detections that are used, and their labels.

    Parameters
    ----------
    confidence : float
        Smallest confidence of a detection, 0 to 1.
    category : str or None
        Name or number of the category; None for all.
    labels : PathLabels
        Rule that reads the label from the path of a photo.
    """

    confidence: float
    category: str | None
    labels: PathLabels


def is_megadetector(content: Any) -> bool:  # noqa: ANN401 - JSON
    """Check whether JSON has the form of MegaDetector results."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("images"), list)
        and "annotations" not in content
        and (
            "detection_categories" in content
            or any(isinstance(each, dict) and "detections" in each for each in content["images"])
        )
    )


def read_megadetector(
    content: dict[str, Any], place: str, options: DetectionOptions, *, root: Path
) -> AnnotationTable:
    """Return a row for each detection; the label is read from the photo's path.

    Photos without a detection are excluded.

    Parameters
    ----------
    content : dict
        The JSON.
    place : str
        The option that names the file, for messages.
    options : DetectionOptions
        Detections that are used, and their labels.
    root : Path
        Folder that the photos' paths are relative to.

    Raises
    ------
    BenchError
        If a value is missing or has another type, or there is no such category.
    """
    table = AnnotationTable(place, MEGADETECTOR, relative=True)
    confidence, category = options.confidence, options.category
    names = {str(key): str(name) for key, name in content.get("detection_categories", {}).items()}
    names = names or {"1": "animal", "2": "person", "3": "vehicle"}
    species = content.get("classification_categories", {})
    wanted = _find_category(names, category, place)
    n_detections = 0
    for number, image in enumerate(content["images"]):
        with table.entry(f"image {number} (from 0)"):
            path = _relative(str(image["file"]), root, place)
            if failure := image.get("failure"):
                table.exclude(path, "no_detection", f"the detector failed: {failure}")
                continue
            found = image.get("detections") or []
            n_detections += len(found)
            (fields,) = options.labels.read([path])
            label = fields.pop(LABEL, "")
            others = fields | scalars(image, "file", "detections", "max_detection_conf")
            used = [
                each
                for each in found
                if str(each["category"]) in wanted and float(each["conf"]) >= confidence
            ]
            for each in used:
                columns = {**others, "detection": names.get(str(each["category"]), "")}
                columns |= {"confidence": each["conf"], **_classification(each, species)}
                table.add(path, label, to_box(each["bbox"]), others=columns)
            if not used:
                what = "detection" if category is None else f"detection of {category}"
                table.exclude(path, "no_detection", f"has no {what} from {confidence:g} confidence")
    _check_labels(table, options.labels)
    _log.warning(
        "%s: %s of %s detections are used, those of %s from %g confidence (data.category=, "
        "data.confidence=)",
        *(place, f"{len(table):,}", f"{n_detections:,}", category or "all categories", confidence),
    )
    return table


def _check_labels(table: AnnotationTable, rule: PathLabels) -> None:
    """Refuse parts of a split as labels."""
    labels = table.labels()
    if rule == PathLabels() and labels and labels == set(find_parts(sorted(labels))):
        raise BenchError(
            f"{table.place}: the first folders of the photos are {', '.join(sorted(labels))}, "
            "which are parts of a split and no labels; give data.label_depth=2 for those in them"
        )


def _find_category(names: dict[str, str], category: str | None, place: str) -> set[str]:
    if category is None:
        return set(names)
    wanted = {key for key, name in names.items() if category.casefold() in (key, name.casefold())}
    if not wanted:
        known = ", ".join(f"{name} ({key})" for key, name in names.items())
        raise BenchError(
            f"data.category={category}: {place} has no such category; it has {known}; null uses all"
        )
    return wanted


def _relative(file: str, root: Path, place: str) -> str:
    name = file.replace("\\", "/") if "/" not in file else file
    if not Path(name).is_absolute():
        return name.removeprefix("./")
    try:
        return Path(name).relative_to(root).as_posix()
    except ValueError:
        raise BenchError(
            f"{place}: the path {file} is not below {root}; give data.root=<folder>, the part of "
            "the paths that comes before the folders of the classes"
        ) from None


def _classification(detection: dict[str, Any], species: dict[str, str]) -> dict[str, Any]:
    """Return the most likely class of a detection, as of a species classifier."""
    if not (found := detection.get("classifications")):
        return {}
    best, confidence = max(found, key=lambda pair: pair[1])
    return {
        "classification": species.get(str(best), best),
        "classification_confidence": confidence,
    }

"""COCO annotations: images, annotations with pixel boxes, and categories."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from outliers_bench.data.annotations.annotation_table import AnnotationTable, scalars, to_box
from outliers_bench.errors import BenchError

_OWN = ("id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd", "keypoints")
_OF_IMAGE = ("id", "file_name", "width", "height", "license", "coco_url", "flickr_url")


def is_coco(content: Any) -> bool:  # noqa: ANN401 - JSON
    """Check whether JSON has the form of COCO annotations."""
    return isinstance(content, dict) and all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    )


def read_coco(content: dict[str, Any], place: str) -> AnnotationTable:
    """Return a row for each annotation, sorted by image; the label is the category's name.

    Crowd annotations, those of unknown images, and images without annotations are excluded.

    Parameters
    ----------
    content : dict
        The JSON.
    place : str
        The option that names the file, for messages.

    Raises
    ------
    BenchError
        If a value is missing or has another type, or two images or categories have the same id.
    """
    table = AnnotationTable(place, "COCO", relative=False)
    names = _by_id(table, content.get("categories", []), "category", "categories", "name")
    files = _by_id(table, content["images"], "image", "images", "file_name")
    by_image: dict[object, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for number, annotation in enumerate(content["annotations"]):
        with table.entry(f"annotation {number} (from 0)"):
            image = annotation["image_id"]
            if image in files:
                by_image[image].append((number, annotation))
            else:
                name = f"annotation {number}"
                table.exclude(name, "unusable_box", f"there is no image with the id {image!r}")
    seen = set()
    for image in content["images"]:
        name = files[image["id"]]
        if image["id"] in seen:
            continue
        seen.add(image["id"])
        if not by_image[image["id"]]:
            table.exclude(name, "unlabeled", "has no annotation")
        for number, annotation in by_image[image["id"]]:
            with table.entry(f"annotation {number} (from 0)"):
                category = annotation.get("category_id")
                if names and category is not None and category not in names:
                    raise ValueError(f"there is no category with the id {category!r}")
                if annotation.get("iscrowd"):
                    table.exclude(name, "unusable_box", f"annotation {number} is a crowd")
                    continue
                others = scalars(image, *_OF_IMAGE) | scalars(annotation, *_OWN)
                size = int(image.get("width") or 0), int(image.get("height") or 0)
                box = to_box(annotation.get("bbox"))
                table.add(name, names.get(category, ""), box, size=size, others=others)
    return table


def _by_id(
    table: AnnotationTable, entries: list[dict[str, Any]], kind: str, key: str, value: str
) -> dict[object, str]:
    """Return a value of each entry by its id."""
    found: dict[object, str] = {}
    for number, entry in enumerate(entries):
        with table.entry(f"{key}[{number}]"):
            given = str(entry[value])
            known = found.setdefault(entry["id"], given)
        if known != given:
            raise BenchError(
                f"{table.place}: the {kind} id {entry['id']!r} belongs to {known} and to {given}, "
                "so it is not clear which one annotations refer to; give each an id of its own"
            )
    return found

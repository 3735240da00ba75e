"""Label Studio JSON: rectangles, choices, and names of files."""

import pytest

from outliers_bench.data.tables.columns import Columns
from tests.data.annotated_photos import (
    HEIGHT,
    NAMES,
    WIDTH,
    label_studio,
    labels_of,
    source,
    write_photos,
)
from tests.data.sources import fails, load


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path)


def test_label_studio_columns_and_uploaded_names(photos, tmp_path):
    content = label_studio()
    for number, task in enumerate(content):
        file = f"{number}-{NAMES[number].replace('/', '-')}"
        (photos / NAMES[number]).rename(photos / file)
        task["data"] = {"image": f"/data/upload/1/0a1b2c3{number}-{file}", "camera": "c4"}
    del content[5]["annotations"][1]
    content[4]["annotations"][1]["result"][0]["image_rotation"] = 90
    content.append({"id": 9, "data": {"image": content[5]["data"]["image"]}, "annotations": []})
    split = load(source(content, photos), tmp_path)
    assert [(item.name, item.kind) for item in split.left_out] == [
        ("4-lion-1.png", "unusable_box"),
        *[("5-lion-2.png", "unlabeled")] * 2,
    ]
    columns = split.gallery.columns
    assert {name: set(columns[name]) for name in ("sex", "season", "camera")} == {
        "sex": {"male"},
        "season": {"dry"},
        "camera": {"c4"},
    }


def test_label_studio_min_and_rotated_rectangles(photos, tmp_path):
    content = [
        {
            "image": f"/data/local-files/?d={name}",
            "label": [
                {
                    **{"x": 30, "y": 20, "width": 30, "height": 40, "rotation": 90 * (number == 0)},
                    **{"original_width": WIDTH, "original_height": HEIGHT},
                    "rectanglelabels": [name.split("/")[0]],
                }
            ],
            "id": number,
        }
        for number, name in enumerate(NAMES)
    ]
    found = labels_of(load(source(content, photos), tmp_path))
    expected = dict.fromkeys(NAMES, "60,20,60,40")
    # A quarter turn around the left upper corner: 60 x 40 pixels become 40 x 60, left of it.
    expected[NAMES[0]] = "20,20,40,60"
    assert found == {f"{name}#{box}": name.split("/")[0] for name, box in expected.items()}


def test_a_single_choice_in_label_studio_min_is_plain_text(photos, tmp_path):
    content = [
        {
            **{"image": f"/data/local-files/?d={name}", "id": number, "annotation_id": number},
            **{"annotator": 1, "created_at": "2026-11-30T10:00:00Z", "lead_time": 3.5},
            "kind": name.split("/")[0],
        }
        for number, name in enumerate(NAMES)
    ]
    expected = {name: name.split("/")[0] for name in NAMES}
    assert labels_of(load(source(content, photos), tmp_path)) == expected
    # Next to values of the imported task, it has to be named.
    several = [{**task, "camera": "c4"} for task in content]
    fails(source(several, photos), tmp_path, "6 of 6 images have no label")
    named = source(several, photos, columns=Columns(label="kind"))
    assert labels_of(load(named, tmp_path)) == expected
    del content[0]["annotation_id"]
    left_out = load(source(content, photos), tmp_path).left_out
    assert [(item.name, item.kind) for item in left_out] == [(NAMES[0], "unlabeled")]

"""COCO and MegaDetector JSON: labels, boxes, and what is excluded."""

import json

import numpy as np
import pytest
from PIL import Image

from outliers_bench.data.boxes import BoxUse
from outliers_bench.data.crop_reader import split_name
from outliers_bench.data.tables.columns import Columns
from tests.data.annotated_photos import (
    HEIGHT,
    NAMES,
    PARTS,
    WIDTH,
    coco,
    excluded,
    label_studio,
    labels_of,
    megadetector,
    source,
    write_photos,
)
from tests.data.sources import fails, load


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path)


@pytest.mark.parametrize("content", [coco, megadetector, label_studio])
def test_the_box_of_each_format(content, photos, tmp_path):
    split = load(source(content(), photos), tmp_path)
    found = labels_of(split)
    second = {f"{name}#110,20,60,40": name.split("/")[0] for name in NAMES}
    first = {f"{name}#10,20,60,40": name.split("/")[0] for name in NAMES}
    assert found == (first | second if content is coco else first)
    for part in PARTS:
        images = getattr(split, part)
        for row, name in enumerate(images.names):
            file, (x, y, w, h) = split_name(name)
            pixels = np.asarray(Image.open(photos / file))[y : y + h, x : x + w]
            assert np.array_equal(images.read(row), pixels)
    whole = load(source(content(), photos, boxes=BoxUse.ignore), tmp_path)
    assert labels_of(whole) == {name: name.split("/")[0] for name in NAMES}
    assert not whole.left_out


def test_coco_columns(photos, tmp_path):
    split = load(source(coco(), photos), tmp_path)
    columns = split.gallery.columns
    assert set(columns["location"]) == {"river"}
    assert set(columns["attributes.seen"]) == {"3"}
    animals = dict(zip(split.gallery.names, columns["attributes.animal"], strict=True))
    assert all(animal.endswith("01"["#110" in name]) for name, animal in animals.items())


def test_what_coco_cannot_use_is_counted(photos, tmp_path):
    content = coco()
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][3]["bbox"] = [10, 10, 0, 5]
    content["annotations"].append({"id": 99, "image_id": 77, "category_id": 7})
    content["images"].append({"id": 50, "file_name": "gnu/none.png"})
    content["images"].append(content["images"][0])
    split = load(source(content, photos), tmp_path)
    assert excluded(split) == [
        ("annotation 12", "unusable_box", "there is no image with the id 77"),
        ("gnu/0.png", "unusable_box", "annotation 0 is a crowd"),
        ("gnu/none.png", "unlabeled", "has no annotation"),
        ("gnu/1.png", "unusable_box", "its box (10, 10, 0, 5) is empty"),
    ]
    content = coco()
    content["annotations"].append({**content["annotations"][5], "id": 99})
    assert [item.kind for item in load(source(content, photos), tmp_path).left_out] == ["duplicate"]


def test_coco_without_boxes_is_of_whole_photos(photos, tmp_path):
    content = coco()
    for annotation in content["annotations"]:
        del annotation["bbox"]
    content["annotations"] = content["annotations"][::2]
    split = load(source(content, photos), tmp_path)
    assert set(labels_of(split)) == set(NAMES)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c["annotations"][4].pop("category_id"), "1 of 12 images have no label: 1 empty"),
        (lambda c: c["annotations"][4].update(bbox=[1, 2, 3]), "annotation 4 .* is not four numb"),
        (lambda c: c.pop("categories"), "12 of 12 images have no label: 12 empty"),
        (lambda c: c["annotations"][4].update(category_id=5), "no category with the id 5"),
        (lambda c: c["images"][1].pop("file_name"), r"images\[1\] of this COCO JSON has no 'file_"),
        (lambda c: c["images"][1].update(id=0), "image id 0 belongs to gnu/0.png and to gnu/1"),
        (lambda c: c["images"].append("x"), r"images\[6\] of this COCO JSON is not valid"),
        (
            lambda c: [image.update(width=400, height=200) for image in c["images"]],
            "6 photos have another size than annotated, gnu/0.png first .200 x 100, annotated 40",
        ),
        (lambda c: c["annotations"].clear(), "nothing that can be used: gnu/0.png: has no annot"),
    ],
)
def test_broken_coco_is_one_line(change, match, photos, tmp_path):
    content = coco()
    change(content)
    fails(source(content, photos), tmp_path, match)


def test_coco_without_categories_may_have_labels_elsewhere(photos, tmp_path):
    content = coco()
    label = {"columns": Columns(label="attributes.animal")}
    expected = load(source(content, photos, **label), tmp_path).fingerprint
    del content["categories"]
    assert load(source(content, photos, **label), tmp_path).fingerprint == expected
    for annotation in content["annotations"]:
        del annotation["category_id"]
    assert load(source(content, photos, **label), tmp_path).fingerprint == expected


def test_sizes_of_photos_that_exif_turns(photos, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = coco()
    for image in content["images"]:
        name = image["file_name"].replace("png", "jpg")
        Image.open(photos / image["file_name"]).save(photos / name, exif=exif)
        image["file_name"] = name
    fails(source(content, photos), tmp_path, "are those of the stored photos, and orientation")
    for image in content["images"]:
        image.update(width=HEIGHT, height=WIDTH)
    content["annotations"] = [{**each, "bbox": [5, 120, 60, 40]} for each in content["annotations"]]
    split = load(source(content, photos), tmp_path)
    assert {name.partition("#")[2] for name in split.images.names} == {"5,120,60,40"}


def test_detections_are_selected_by_confidence_and_category(photos, tmp_path):
    content = megadetector()
    content["images"][0]["detections"][0]["conf"] = 0.15
    content["images"][1] = {"file": NAMES[1], "failure": "image access", "detections": None}
    split = load(source(content, photos), tmp_path)
    assert set(labels_of(split)) == {f"{name}#10,20,60,40" for name in NAMES[2:]}
    assert excluded(split) == [
        (NAMES[0], "no_detection", "has no detection of animal from 0.2 confidence"),
        (NAMES[1], "no_detection", "the detector failed: image access"),
    ]
    for confidence, n in ((0.05, 10), (0.12, 5)):
        split = load(source(content, photos, confidence=confidence), tmp_path)
        assert len(labels_of(split)) == n
    for category in ("person", "2"):
        split = load(source(content, photos, category=category), tmp_path)
        assert len(labels_of(split)) == 5
        assert all("#60,10,80,80" in name for name in labels_of(split))
    assert len(labels_of(load(source(content, photos, category=None), tmp_path))) == 9
    fails(
        source(content, photos, category="vehicle"),
        tmp_path,
        r"data\.category=vehicle: .* has no such category; it has animal \(1\), person \(2\)",
    )
    fails(source(content, photos, confidence=1.5), tmp_path, r"data\.confidence=1\.5")


def test_labels_of_megadetector_are_read_from_paths(photos, tmp_path):
    content = megadetector()
    for name, image in zip(NAMES, content["images"], strict=True):
        moved = f"{'train' if '0' in name else 'test'}/{name}"
        (photos / moved).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).rename(photos / moved)
        image["file"] = moved
    fails(source(content, photos), tmp_path, "are test, train, which are parts .*label_depth=2")
    kinds = {"gnu", "lion"}
    assert set(labels_of(load(source(content, photos, label_depth=2), tmp_path)).values()) == kinds
    pattern = r"(?P<label>\w+)/(?P<group>\d)\.png"
    split = load(source(content, photos, label_pattern=pattern), tmp_path)
    assert set(labels_of(split).values()) == kinds
    expected = [name.partition("/")[2].partition(".")[0] for name in split.query.names]
    assert expected == list(split.query.groups)
    fails(
        source(content, photos, label_pattern=pattern, label_depth=2), tmp_path, "give one of them"
    )
    fails(source(coco(), photos, label_depth=2), tmp_path, "are for results of MegaDetector")


def test_paths_of_megadetector_below_the_root(photos, tmp_path):
    content = megadetector()
    for image in content["images"]:
        image["file"] = f"{photos}/{image['file']}"
    assert len(labels_of(load(source(content, photos), tmp_path))) == 6
    content["images"][2]["file"] = "/home/ada/gnu/2.png"
    fails(
        source(content, photos), tmp_path, "/home/ada/gnu/2.png is not below .*data.root=<folder>"
    )


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"images": [\n  {"id": 1,}]}', "line 2, column 1. is not valid JSON"),
        ("", "is empty"),
        ('{"a": 1}', "none of the three that are known: COCO .* MegaDetector .* Label Studio"),
        ("[]", "none of the three"),
        ('[{"path": "a.png", "label": "b"}]', "none of the three"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_other_json_is_one_line(text, match, photos, tmp_path):
    fails(source(text, photos), tmp_path, match)


def test_json_lines_are_a_table_whatever_the_name(photos, tmp_path):
    lines = [json.dumps({"path": name, "label": name.split("/")[0]}) for name in NAMES]
    split = load(source("\n".join(lines), photos), tmp_path)
    assert labels_of(split) == {name: name.split("/")[0] for name in NAMES}

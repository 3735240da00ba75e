"""Reading of crops: each photo once, and nothing of boxes or photos that cannot be used."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import outliers_bench as ob
from outliers_bench.data import crop_reader as crop_reader_module
from outliers_bench.data.boxes import Rectangle
from outliers_bench.data.crop_reader import CropReader, crop_name, split_name
from outliers_bench.data.prefetch import Decoder
from outliers_bench.data.splits.options import Protocol
from tests.data.boxed_photos import manifest, photo, write_boxed
from tests.data.sources import fails, load

PARTS = ("train", "query", "gallery")


@pytest.fixture
def boxed(tmp_path):
    return write_boxed(tmp_path)


def test_boxes_that_cannot_be_used_are_counted(boxed, tmp_path):
    table = boxed.astype({"w": float, "x": float})
    table.loc[0, "w"] = 0
    table.loc[3, "x"] = 60
    split = load(manifest(table, tmp_path), tmp_path)
    assert [(item.name, item.kind) for item in split.left_out] == [
        ("0.png", "unusable_box"),
        ("1.png", "unusable_box"),
    ]
    assert split.left_out[0].detail == "its box (2, 5, 0, 30) is empty"
    assert split.left_out[1].detail == "its box (60, 5, 20, 30) is outside of the photo (60 x 40)"
    assert sum(len(getattr(split, part)) for part in PARTS) == 10


def test_wrong_boxes_are_one_line(boxed, tmp_path):
    fails(
        manifest(boxed.assign(x=500), tmp_path),
        tmp_path,
        "12 of 12 boxes are empty or mostly outside",
    )
    # Those of photos that are half as large now.
    double = boxed.assign(x=70, y=10, w=40, h=60)
    half = boxed.assign(x=50, y=10, w=40, h=60)
    fails(manifest(double, tmp_path), tmp_path, "12 of 12 boxes are empty or mostly outside")
    fails(manifest(half, tmp_path), tmp_path, r"its box \(50, 10, 40, 60\) is outside of the photo")
    relative = boxed.assign(x=0.1, y=0.2, w=0.3, h=0.4)
    fails(
        manifest(relative, tmp_path), tmp_path, "all boxes in the columns x, y, w, h are between 0"
    )
    table = boxed.astype(object)
    table.loc[4, "w"] = None
    fails(
        manifest(table, tmp_path),
        tmp_path,
        "row .* must have four numbers, or be empty .*2, 5, , 30",
    )
    table.loc[4, "w"] = "wide"
    fails(manifest(table, tmp_path), tmp_path, "it has '2, 5, wide, 30'")
    doubled = boxed.assign(bbox="[1, 2, 3, 4]")
    fails(manifest(doubled, tmp_path), tmp_path, r"boxes are in x\+y\+w\+h and in bbox")
    fails(manifest(boxed, tmp_path, box_margin=-0.1), tmp_path, r"data\.box_margin=-0\.1")


def test_a_damaged_photo_is_excluded_with_all_its_crops(boxed, tmp_path):
    data = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(data[: len(data) // 2])
    split = load(manifest(boxed, tmp_path, max_unreadable=0.5), tmp_path)
    assert [item.name for item in split.left_out if item.kind == "unreadable"] == ["2.png"] * 2


def test_a_photo_is_decoded_once_by_several_threads(tmp_path, monkeypatch):
    photo(0).save(tmp_path / "a.png")
    photo(1).save(tmp_path / "b.png")
    decoded = []
    decode = crop_reader_module.decode
    monkeypatch.setattr(
        crop_reader_module,
        "decode",
        lambda data, name: decoded.append(name) or decode(data, name=name),
    )
    reader = CropReader(tmp_path)
    names = [crop_name(f"{n}.png", Rectangle(x, 2, 10, 12)) for n in "ab" for x in range(40)]
    with ThreadPoolExecutor(8) as pool:
        pixels = list(pool.map(reader.read, names))
    assert sorted(decoded) == ["a.png", "b.png"]
    for name, crop in zip(names, pixels, strict=True):
        file, (left, top, width, height) = split_name(name)
        expected = Image.open(tmp_path / file).crop((left, top, left + width, top + height))
        assert np.array_equal(crop, np.asarray(expected))
    monkeypatch.setattr(crop_reader_module, "RECENT_BYTES", 0)
    limited = CropReader(tmp_path)
    for name in names[:2]:
        limited.read(name)
    assert decoded[2:] == ["a.png", "a.png"], "photos are held up to a number of bytes"


def test_crops_in_any_order_are_decoded_photo_by_photo(boxed, tmp_path, monkeypatch):
    table = boxed.sort_values("label")
    images = load(manifest(table, tmp_path, protocol=Protocol.leave_one_out), tmp_path).gallery
    monkeypatch.setattr(crop_reader_module, "RECENT_BYTES", 0)  # no photo waits for its next crop
    decoded = list(Decoder(images, lambda image: image))
    assert dict(decoded).keys() == set(images.digests)
    names = dict(zip(images.digests, images.names, strict=True))
    photos = [split_name(names[digest])[0] for digest, _ in decoded]
    assert photos == [name for n in range(6) for name in [f"{n}.png"] * 2]
    for digest, pixels in decoded:
        assert np.array_equal(pixels, images.read(images.digests.index(digest)))


def test_a_photo_that_changed_gives_no_crop(boxed, tmp_path):
    split = load(manifest(boxed, tmp_path), tmp_path)
    for number in range(6):
        photo(number + 100).save(tmp_path / f"{number}.png")
    with pytest.raises(ob.BenchError, match=r"#.*: changed during the run"):
        split.gallery.read(0)

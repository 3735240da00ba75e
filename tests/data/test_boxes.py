"""One image per box: pixels, names, content, groups, and boxes that cannot be used."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

import outliers_bench as ob
from outliers_bench.data.boxes import BoxUse, Rectangle, to_rectangle
from outliers_bench.data.crop_reader import split_name
from outliers_bench.data.image_files import FileReader
from outliers_bench.data.splits.options import Protocol
from outliers_bench.duplicates.find import find_pairs
from outliers_bench.leakage.find import find_leaks
from outliers_bench.types import ITSELF, same
from tests.data.boxed_photos import SIZE, manifest, photo, write_boxed
from tests.data.sources import fails, load
from tests.duplicates.synthetic_photos import make_photo

PARTS = ("train", "query", "gallery")


@pytest.fixture
def boxed(tmp_path):
    return write_boxed(tmp_path)


def by_name(split):
    """Return the pixels of each image of a split."""
    return {
        name: part.read(row)
        for part in (split.train, split.query, split.gallery)
        for row, name in enumerate(part.names)
    }


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((10, 20, 5, 8), 0, (10, 20, 5, 8)),
        ((10, 20, 5, 8), 0.25, (8, 18, 9, 12)),  # two pixels of the longer side
        ((-4, 20, 10, 8), 0, (0, 20, 6, 8)),
        ((55, 35, 50, 50), 0.5, (30, 10, 30, 30)),
        ((0, 0, 60, 40), 1, (0, 0, 60, 40)),
        ((10.4, 20.5, 5.2, 8), 0, (10, 21, 6, 8)),
        ((59, 39, 1, 1), 0, (59, 39, 1, 1)),
        ((10, 20, 0, 8), 0.5, None),
        ((10, 20, -5, 8), 0.5, None),
        ((60, 20, 5, 8), 0.5, None),  # the margin alone is inside
        ((10, -8, 5, 8), 0.5, None),
        ((10.1, 20, 0.3, 8), 0.5, None),
    ],
)
def test_rectangle_by_hand(box, margin, expected):
    found = to_rectangle(box, SIZE, margin=margin)
    assert found == (None if expected is None else Rectangle(*expected))


@given(
    box=st.tuples(*[st.floats(-100, 200)] * 2, *[st.floats(0, 200)] * 2),
    margin=st.floats(0, 2),
)
def test_rectangle_is_inside_and_contains_the_box(box, margin):
    found = to_rectangle(box, SIZE, margin=margin)
    if found is None:
        return
    left, top, width, height = found
    assert left >= 0 <= top
    assert 1 <= width <= SIZE[0] - left
    assert 1 <= height <= SIZE[1] - top
    assert left <= max(0, box[0] + 0.5)
    assert left + width >= min(SIZE[0], box[0] + box[2] - 0.5)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_boxes_are_those_of_the_upright_photo(orientation, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for number in range(3):
        path = tmp_path / f"{number}.{suffix}"
        quality = {} if suffix in ("png", "tif") else {"quality": 95}
        photo(number).save(path, exif=exif, **quality)
    shown = ImageOps.exif_transpose(Image.open(tmp_path / f"0.{suffix}")).convert("RGB")
    width, height = shown.size
    assert (width < height) == (orientation >= 5)
    box = (3, 4, width - 10, 12)
    rows = [(f"{n}.{suffix}", "ab"[n % 2], *box) for n in range(3)]
    table = pd.DataFrame(rows, columns=["path", "label", "x", "y", "w", "h"])
    source = manifest(table, tmp_path, box_margin=0.0, protocol=Protocol.leave_one_out)
    pixels = by_name(load(source, tmp_path))[f"0.{suffix}#3,4,{width - 10},12"]
    expected = np.asarray(shown.crop((3, 4, width - 7, 16)), np.int16)
    # Two decoders of JPEG and WebP may differ by rounding of colors.
    assert np.abs(pixels - expected).max() <= (0 if suffix in ("png", "tif") else 6)


def test_an_orientation_that_is_not_in_exif_turns_neither_photo_nor_box(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    rows = []
    for number in range(4):
        photo(number).save(tmp_path / f"{number}.jpg", xmp=xmp)
        rows.append((f"{number}.jpg", "ab"[number % 2], 45, 4, 15, 30))
    table = pd.DataFrame(rows, columns=["path", "label", "x", "y", "w", "h"])
    source = manifest(table, tmp_path, box_margin=0.0, protocol=Protocol.leave_one_out)
    pixels = by_name(load(source, tmp_path))
    whole = FileReader(tmp_path).read("0.jpg")
    assert np.array_equal(pixels["0.jpg#45,4,15,30"], whole[4:34, 45:60])


def test_a_run_on_boxes_is_that_on_photos_cropped_by_hand(boxed, tmp_path, monkeypatch):
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))
    boxed["split"] = ["train", "query", "gallery", "gallery"] * 3
    boxed.loc[3, ["x", "y", "w", "h"]] = None  # the whole photo
    cropped = boxed[["path", "label", "split"]].copy()
    for row, (path, _, x, y, w, h, _) in enumerate(boxed.itertuples(index=False)):
        image = Image.open(tmp_path / path)
        if row != 3:
            margin = round(0.1 * h)
            edges = (max(0, x - margin), y - margin, x + w + margin, min(40, y + h + margin))
            image = image.crop(edges)
        image.save(tmp_path / f"crop{row}.png")
        cropped.loc[row, "path"] = f"crop{row}.png"
    options = {"model": "pixels", "image_size": 8, "k": [1]}
    boxed.to_csv(tmp_path / "table.csv", index=False)
    cropped.to_csv(tmp_path / "crops.csv", index=False)
    margin = {"options": {"data.box_margin": 0.1}}
    one = ob.run(tmp_path / "table.csv", **options, **margin)
    other = ob.run(tmp_path / "crops.csv", **options)
    assert one.split.query.names[0] == "0.png#27,2,26,36"
    assert np.array_equal(one.ranking.indices, other.ranking.indices)
    assert np.array_equal(one.ranking.scores, other.ranking.scores)
    for part in PARTS:
        crops, files = getattr(one.split, part), getattr(other.split, part)
        for row in range(len(files)):
            assert np.array_equal(crops.read(row), files.read(row))


@pytest.mark.parametrize(
    ("columns", "convert"),
    [
        (["bbox_x", "BBox Y", "bbox_width", "bbox_height"], lambda b: b),
        (["x_1", "y_1", "x_2", "y_2"], lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])),
        (["xmin", "ymin", "xmax", "ymax"], lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])),
        (["bbox"], lambda b: (list(b),)),
        (["bbox"], lambda b: (f"{b[0]} {b[1]:.1f} {b[2]},{b[3]}",)),
    ],
)
def test_columns_of_boxes_have_the_names_of_the_field(columns, convert, boxed, tmp_path):
    plain = load(manifest(boxed, tmp_path), tmp_path)
    rows = [convert(box) for box in boxed[["x", "y", "w", "h"]].itertuples(index=False)]
    other = pd.DataFrame(rows, columns=columns)
    found = load(manifest(boxed[["path", "label"]].join(other), tmp_path), tmp_path)
    assert found.fingerprint == plain.fingerprint


def test_the_size_of_the_photo_is_no_box(boxed, tmp_path):
    plain = load(manifest(boxed, tmp_path), tmp_path).fingerprint
    x, y, w, h = (boxed.pop(name) for name in "xywh")
    sized = boxed.assign(x=x, y=y, w=w, h=h)
    # As in the tables of Pascal VOC and TensorFlow.
    corners = boxed.assign(xmin=x, ymin=y, xmax=x + w, ymax=y + h)
    edges = boxed.assign(left=x, top=y, right=x + w, bottom=y + h)
    for table in (sized, corners, edges):
        with_size = table.assign(width=60, height=40)
        assert load(manifest(with_size, tmp_path), tmp_path).fingerprint == plain
        of_box = table.assign(width=w, height=h)
        assert load(manifest(of_box, tmp_path), tmp_path).fingerprint == plain
        unknown = table.assign(width="", height="?")
        assert load(manifest(unknown, tmp_path), tmp_path).fingerprint == plain
        resized = table.assign(width=120, height=80)
        fails(manifest(resized, tmp_path), tmp_path, "annotated 120 x 80.*photos that were resized")


@pytest.mark.parametrize("values", [[*"ABCDE", None], range(6), ["site 1 box 2"] * 6])
def test_a_box_of_another_kind_is_a_column(values, boxed, tmp_path):
    table = boxed.drop(columns=list("xywh"))[::2].assign(label=["leo", "lea"] * 3)
    plain = load(manifest(table, tmp_path), tmp_path)
    split = load(manifest(table.assign(box=values), tmp_path), tmp_path)
    assert split.fingerprint == plain.fingerprint
    assert "box" in split.gallery.columns


def test_the_content_of_a_crop_is_its_photo_and_rectangle(boxed, tmp_path):
    split = load(manifest(boxed, tmp_path), tmp_path)
    digests = [digest for part in PARTS for digest in getattr(split, part).digests]
    assert len(set(digests)) == len(digests) == 12
    whole = load(manifest(boxed[["path", "label"]][::3], tmp_path), tmp_path)
    assert not set(digests) & set(whole.images.digests)
    assert (
        load(manifest(boxed, tmp_path, box_margin=0.4), tmp_path).fingerprint != split.fingerprint
    )
    for number in range(6):
        (tmp_path / f"{number}.png").rename(tmp_path / f"new{number}.png")
    renamed = boxed.assign(path="new" + boxed["path"])
    assert load(manifest(renamed, tmp_path), tmp_path).fingerprint == split.fingerprint


def test_ignored_boxes_are_plain_columns(boxed, tmp_path):
    table = boxed[::3].reset_index(drop=True)
    ignored = load(manifest(table, tmp_path, boxes=BoxUse.ignore), tmp_path)
    plain = load(manifest(table[["path", "label"]], tmp_path), tmp_path)
    assert ignored.fingerprint == plain.fingerprint
    assert "x" in ignored.gallery.columns


def test_crops_of_one_photo_stay_in_one_part(boxed, tmp_path):
    parts = {}
    split = load(manifest(boxed, tmp_path, train=0.3), tmp_path)
    for part in PARTS:
        for name in getattr(split, part).names:
            parts.setdefault(split_name(name)[0], set()).add(part)
    assert len(parts) == 6
    assert all(len(each) == 1 for each in parts.values())
    # Two photos of one encounter, given for one animal in each.
    encounters = boxed.assign(group=["e1", "", "", "e1", *[""] * 8])
    split = load(manifest(encounters, tmp_path, train=0.3), tmp_path)
    (part,) = (p for p in PARTS if any(n.startswith("0.") for n in getattr(split, p).names))
    together = [n for n in getattr(split, part).names if n.startswith(("0.", "1."))]
    assert len(together) == 4


def test_crops_of_one_photo_do_not_find_each_other(boxed, tmp_path):
    boxed["label"] = ["zebra", "zebra", "gnu", "gnu"] * 3
    source = manifest(boxed, tmp_path, protocol=Protocol.leave_one_out)
    split = load(source, tmp_path)
    assert split.excluded == same("cropped_from")
    assert split.exclusion.counts.tolist() == [2] * 12
    photos = [split_name(name)[0] for name in split.gallery.names]
    mask = split.exclusion.mask(slice(None), np.arange(12)[None])
    assert np.array_equal(mask, np.array(photos)[:, None] == np.array(photos))
    # One box per photo: as with whole photos.
    assert (
        load(manifest(boxed[::2], tmp_path, protocol=source.protocol), tmp_path).excluded == ITSELF
    )


def test_overlapping_crops_of_one_photo_are_no_leaks_in_one_set(tmp_path):
    rows = []
    for number in range(4):
        Image.fromarray(make_photo(number, height=200)).save(tmp_path / f"{number}.png")
        rows += [(f"{number}.png", "ab"[number % 2], x, 20, 150, 150) for x in (20, 22)]
    # The same photo in another file.
    Image.open(tmp_path / "0.png").save(tmp_path / "copy.jpg", quality=95)
    rows.append(("copy.jpg", "a", 20, 20, 150, 150))
    table = pd.DataFrame(rows, columns=["path", "label", "x", "y", "w", "h"])
    split = load(manifest(table, tmp_path, protocol=Protocol.leave_one_out), tmp_path)

    def photos_of(images, pairs):
        return {
            frozenset(split_name(images.names[row])[0] for row in (pair.first, pair.second))
            for pair in pairs
        }

    copies = frozenset({"0.png", "copy.jpg"})
    duplicates = find_pairs(split.images, cache=tmp_path / "cache")
    of_one_photo = {frozenset({f"{number}.png"}) for number in range(4)}
    assert photos_of(split.images, duplicates.pairs) == {copies} | of_one_photo
    leaks = find_leaks(split, cache=tmp_path / "cache")
    assert photos_of(leaks.images, leaks.pairs) == {copies}

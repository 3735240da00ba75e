"""Search for exact and near duplicates."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.duplicates.align import measure_agreement
from outliers_bench.duplicates.candidates import compute_descriptors, find_candidates
from outliers_bench.duplicates.find import find_pairs, is_cached
from outliers_bench.duplicates.pairs import Pair, group_rows
from outliers_bench.duplicates.thumbnails import SIDE, gray_square
from outliers_bench.duplicates.verify import LARGE
from outliers_bench.errors import UnreadableImageError
from tests.duplicates.synthetic_photos import (
    brighten,
    crop_sides,
    encode_jpeg,
    make_image_set,
    make_photo,
    rescale,
)
from tests.toys import ArrayReader

OTHERS = {f"other {seed}": make_photo(seed) for seed in range(100, 112)}
PHOTO = make_photo(0)
EDITS = {
    "re-encoded": lambda photo: encode_jpeg(photo, 50),
    "half the size": lambda photo: rescale(photo, 0.5),
    "twice the size": lambda photo: rescale(photo, 2),
    "narrowed": lambda photo: rescale(photo, 0.8)[:, ::2],
    "cropped by 5% in total": lambda photo: crop_sides(photo, 0.025),
    "cropped by 5% of each side": lambda photo: crop_sides(photo, 0.05),
    "cropped on one side": lambda photo: np.ascontiguousarray(photo[:, 10:]),
    "brighter": lambda photo: brighten(photo, 1.1, 10),
    "darker": lambda photo: brighten(photo, 0.85, -5),
    "all of these": lambda photo: encode_jpeg(
        brighten(rescale(crop_sides(photo, 0.05), 0.7), 0.95, 8), 60
    ),
}
DARKER = EDITS["darker"](PHOTO)


def find(arrays, cache, **options):
    images = make_image_set(arrays)
    duplicates = find_pairs(images, cache=cache, **options)
    return {
        (*sorted((images.names[pair.first], images.names[pair.second])), pair.kind): pair.likeness
        for pair in duplicates.pairs
    }


def test_edited_photos_are_found(tmp_path):
    photos = {f"photo {edit}": make_photo(seed) for seed, edit in enumerate(EDITS)}
    edited = {f"edited {edit}": EDITS[edit](photos[f"photo {edit}"]) for edit in EDITS}
    pairs = find(OTHERS | photos | edited, tmp_path)
    assert set(pairs) == {(f"edited {edit}", f"photo {edit}", "near") for edit in EDITS}
    assert 0.7 <= min(pairs.values()) <= max(pairs.values()) <= 1


def test_other_images_are_not_found(tmp_path):
    replaced = PHOTO.copy()
    replaced[30:110, 50:150] = make_photo(7)[30:110, 50:150]
    blurred = rescale(rescale(PHOTO, 0.05), 20)[:150, :200]
    images = {
        "photo": PHOTO,
        "another object, same background": replaced,
        "mirrored": np.ascontiguousarray(PHOTO[:, ::-1]),
        "rotated": np.ascontiguousarray(np.rot90(PHOTO)),
        "a third of it": crop_sides(PHOTO, 1 / 3),
        "similar at low resolution": make_photo(8) // 4 + blurred // 2,
    }
    assert find(images, tmp_path) == {}


def test_image_with_a_replaced_part_is_not_a_duplicate(tmp_path):
    """The part has low contrast, so that most of the detail is still that of the photo."""
    replaced = PHOTO.copy()
    replaced[:40] = make_photo(7)[:40] // 5 + 100
    one, other = (gray_square(image, 128) for image in (PHOTO, replaced))
    detail, tiles = measure_agreement(one, other, 1.0, steps=40)
    assert detail > 0.7
    assert tiles < 0.5
    assert find({"photo": PHOTO, "replaced": replaced}, tmp_path) == {}


def test_exact_duplicates_are_paired_with_the_first(tmp_path):
    arrays = {"b": PHOTO, "other": make_photo(1), "a": PHOTO, "c": PHOTO}
    images = make_image_set(arrays)
    exact = (Pair(0, 2, "exact", 1.0), Pair(0, 3, "exact", 1.0))
    assert find_pairs(images, cache=tmp_path).pairs == exact
    images.reader.decoded.clear()
    assert find_pairs(images, cache=tmp_path / "fresh", near=False).pairs == exact
    assert images.reader.decoded == []


def test_small_and_flat_images_are_compared_by_content_only(tmp_path):
    small = make_photo(3)[:20, :60]
    ramp = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 150, 0)
    arrays = {
        "small": small,
        "small again": small,
        "another small": make_photo(4)[:20, :60],
        "white": np.full((90, 90, 3), 255, np.uint8),
        "nearly white": np.full((90, 90, 3), 254, np.uint8),
        "ramp": np.repeat(ramp, 3, 2),
    }
    duplicates = find_pairs(make_image_set(arrays), cache=tmp_path)
    assert duplicates.pairs == (Pair(0, 1, "exact", 1.0),)
    assert [duplicates.not_compared[row][:9] for row in range(6)] == ["too small"] * 3 + [
        "too flat "
    ] * 3
    assert find_pairs(make_image_set(arrays), cache=tmp_path) == duplicates


def test_later_searches_decode_new_images_only(tmp_path):
    arrays = OTHERS | {"photo": PHOTO, "copy": DARKER}
    images = make_image_set(arrays)
    first = find_pairs(images, cache=tmp_path)
    assert len(images.reader.decoded) >= len(arrays)
    images.reader.decoded.clear()
    assert find_pairs(images, cache=tmp_path) == first
    assert images.reader.decoded == []

    more = make_image_set(arrays | {"new": make_photo(900)})
    assert find_pairs(more, cache=tmp_path).pairs == first.pairs
    assert set(more.reader.decoded) == {"new"}


def test_result_does_not_depend_on_order_and_names(tmp_path):
    images = make_image_set({"x": DARKER, **OTHERS, "photo": PHOTO, "again": PHOTO})
    (near,) = (p for p in find_pairs(images, cache=tmp_path).pairs if p.kind == "near")
    rows = list(range(len(images)))[::-1]
    reordered = replace(images.take(rows), names=tuple(f"n{row}" for row in rows))
    arrays = images.reader.arrays
    reader = ArrayReader({f"n{row}": arrays[images.names[row]] for row in rows})
    reordered = replace(reordered, reader=reader)
    (other,) = (p for p in find_pairs(reordered, cache=tmp_path / "new").pairs if p.kind == "near")
    assert other.likeness == near.likeness
    assert {images.digests[near.first], images.digests[near.second]} == {
        reordered.digests[other.first],
        reordered.digests[other.second],
    }


def test_interrupted_search_is_resumed(tmp_path):
    class Interrupted(ArrayReader):
        def read(self, name, digest=None, *, side=None):
            if len(self.decoded) == 6:
                raise KeyboardInterrupt
            return super().read(name, digest, side=side)

    arrays = OTHERS | {"photo": PHOTO, "copy": DARKER}
    images = make_image_set(arrays)
    with pytest.raises(KeyboardInterrupt):
        find_pairs(replace(images, reader=Interrupted(arrays)), cache=tmp_path)
    find_pairs(images, cache=tmp_path)
    # Each once for its thumbnail, unless stored before; two once more for verification.
    assert len(arrays) - 6 <= len(images.reader.decoded) <= len(arrays) + 2
    assert len(set(images.reader.decoded)) < len(arrays)


def test_damaged_result_is_recomputed(tmp_path):
    arrays = {"photo": PHOTO, "copy": DARKER}
    first = find(arrays, tmp_path)
    (file,) = (tmp_path / "duplicates").iterdir()
    for junk in (b"", b"PK\x03\x04 nonsense", b"\0" * 300):
        file.write_bytes(junk)
        assert find(arrays, tmp_path) == first
        assert file.read_bytes() != junk


def test_temporarily_unreadable_photo_is_compared_later(tmp_path):
    class Unavailable(ArrayReader):
        def read(self, name, digest=None, *, side=None):
            if side == LARGE:
                raise UnreadableImageError("the disk is unavailable", name=name)
            return super().read(name, digest, side=side)

    arrays = {"photo": PHOTO, "copy": DARKER}
    images = make_image_set(arrays)
    assert find_pairs(replace(images, reader=Unavailable(arrays)), cache=tmp_path).pairs == ()
    assert not is_cached(images, cache=tmp_path)
    assert len(find_pairs(images, cache=tmp_path).pairs) == 1
    assert is_cached(images.take([1, 0, 1]), cache=tmp_path)


def test_result_file_has_each_reason_once(tmp_path):
    """Sets of small images have tens of thousands that are not compared."""
    small = {f"{n}": np.full((4, 4, 3), n % 256, np.uint8) + n // 256 for n in range(300)}
    duplicates = find_pairs(make_image_set(small), cache=tmp_path)
    (file,) = (tmp_path / "duplicates").iterdir()
    assert len(duplicates.not_compared) > 250
    assert file.stat().st_size < 10_000


def test_exact_duplicates_of_unreadable_images_are_found(tmp_path):
    images = make_image_set({"photo": PHOTO, "bad": make_photo(5), "copy": DARKER})
    images = images.take([0, 1, 1, 2])
    del images.reader.arrays["bad"]
    for _ in range(2):
        duplicates = find_pairs(images, cache=tmp_path)
        assert [(p.first, p.second, p.kind) for p in duplicates.pairs] == [
            (0, 3, "near"),
            (1, 2, "exact"),
        ]
        assert set(duplicates.unreadable) == {1, 2}
        assert duplicates.unreadable[1] == "broken on purpose"


@pytest.mark.parametrize("n", [0, 1])
def test_sets_of_zero_or_one_image(n, tmp_path):
    duplicates = find_pairs(make_image_set(dict(list(OTHERS.items())[:n])), cache=tmp_path)
    assert duplicates.pairs == ()


def test_candidates_match_a_full_comparison(tmp_path):
    arrays = [*OTHERS.values(), PHOTO, *(edit(PHOTO) for edit in EDITS.values())]
    gray = np.stack([gray_square(image, SIDE) for image in arrays])
    whole = compute_descriptors(gray, 1.0)
    best = np.max([compute_descriptors(gray, crop) @ whole.T for crop in (1.0, 0.95, 0.9)], axis=0)
    best = np.maximum(best, best.T)
    expected = {pair for pair in combinations(range(len(gray)), 2) if best[pair] >= 0.75}
    for n in (9, len(gray)):
        candidates = find_candidates(gray[:n])
        pairs = {
            tuple(sorted(pair)) for pair in zip(candidates.part, candidates.whole, strict=True)
        }
        assert len(pairs) == len(candidates.part)
        expected_pairs = {pair for pair in expected if max(pair) < n}
        # With 11 similar images, each finds its eight nearest neighbors.
        assert pairs <= expected_pairs
        assert len(pairs) >= 0.9 * len(expected_pairs)


def test_descriptors_are_invariant_to_brightness_but_not_to_crops():
    gray = np.stack([gray_square(image, SIDE) for image in (PHOTO, brighten(PHOTO, 0.8, 20))])
    one, other = compute_descriptors(gray, 1.0)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ other > 0.999
    inner = np.stack([gray_square(crop_sides(PHOTO, 0.05), SIDE)])
    assert (
        compute_descriptors(inner, 1.0)[0] @ compute_descriptors(gray, 0.9)[0]
        > 0.99
        > one @ compute_descriptors(inner, 1.0)[0]
    )


def test_agreement_of_an_image_with_itself_is_one():
    gray = gray_square(PHOTO, 128)
    assert measure_agreement(gray, gray, 1.0, steps=10) == pytest.approx((1.0, 1.0), abs=1e-3)
    detail, tiles = measure_agreement(gray, gray_square(make_photo(1), 128), 1.0, steps=10)
    assert detail < 0.3
    assert tiles < 0.3


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=14))
def test_groups_are_connected_components(n, links):
    pairs = [Pair(a, b, "near", 0.9) for a, b in links if a < b < n]
    reach = np.eye(n, dtype=bool)
    for pair in pairs:
        reach[pair.first, pair.second] = reach[pair.second, pair.first] = True
    for _ in range(n):
        reach = reach @ reach
    expected = {tuple(np.flatnonzero(row)) for row in reach if row.sum() > 1}
    groups = group_rows(pairs, n)
    assert {tuple(rows) for rows in groups} == expected
    assert groups == sorted(groups)

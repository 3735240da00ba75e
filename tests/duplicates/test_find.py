"""Copies of photos are found, whatever people did to them, and other photos are not."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.duplicates.align import measure_agreement
from outliers_bench.duplicates.candidates import find_candidates, compute_descriptors
from outliers_bench.duplicates.find import find_pairs, is_cached
from outliers_bench.duplicates.pairs import Pair, group_rows
from outliers_bench.duplicates.thumbnails import SIDE, gray_square
from outliers_bench.duplicates.verify import LARGE
from outliers_bench.errors import UnreadableImageError
from tests.duplicates.pictures import (
    cropped,
    encoded,
    image_set_of,
    lighter,
    picture,
    resized,
)
from tests.toys import ArrayReader

OTHERS = {f"other {seed}": picture(seed) for seed in range(100, 112)}
PHOTO = picture(0)
WAYS = {
    "encoded again": lambda photo: encoded(photo, 50),
    "half the size": lambda photo: resized(photo, 0.5),
    "twice the size": lambda photo: resized(photo, 2),
    "squeezed": lambda photo: resized(photo, 0.8)[:, ::2],
    "cropped by 5% in all": lambda photo: cropped(photo, 0.025),
    "cropped by 5% of each side": lambda photo: cropped(photo, 0.05),
    "cropped on one side": lambda photo: np.ascontiguousarray(photo[:, 10:]),
    "lighter": lambda photo: lighter(photo, 1.1, 10),
    "darker": lambda photo: lighter(photo, 0.85, -5),
    "all of it": lambda photo: encoded(lighter(resized(cropped(photo, 0.05), 0.7), 0.95, 8), 60),
}
DARKER = WAYS["darker"](PHOTO)


def found(arrays, cache, **options):
    images = image_set_of(arrays)
    search = find_pairs(images, cache=cache, **options)
    return {
        (*sorted((images.names[pair.first], images.names[pair.second])), pair.kind): pair.likeness
        for pair in search.pairs
    }


def test_copies_are_found_and_no_other_photo(tmp_path):
    photos = {f"photo {how}": picture(seed) for seed, how in enumerate(WAYS)}
    copies = {f"copy {how}": WAYS[how](photos[f"photo {how}"]) for how in WAYS}
    pairs = found(OTHERS | photos | copies, tmp_path)
    assert set(pairs) == {(f"copy {how}", f"photo {how}", "near") for how in WAYS}
    assert 0.7 <= min(pairs.values()) <= max(pairs.values()) <= 1


def test_what_is_no_copy_is_not_found(tmp_path):
    exchanged = PHOTO.copy()
    exchanged[30:110, 50:150] = picture(7)[30:110, 50:150]
    pictures = {
        "photo": PHOTO,
        "another thing before the same ground": exchanged,
        "mirrored": np.ascontiguousarray(PHOTO[:, ::-1]),
        "turned": np.ascontiguousarray(np.rot90(PHOTO)),
        "a third of it": cropped(PHOTO, 1 / 3),
        "alike from afar": picture(8) // 4 + resized(resized(PHOTO, 0.05), 20)[:150, :200] // 2,
    }
    assert found(pictures, tmp_path) == {}


def test_a_part_exchanged_makes_another_picture(tmp_path):
    """Fainter than the rest, so that most of the detail is still that of the photo."""
    exchanged = PHOTO.copy()
    exchanged[:40] = picture(7)[:40] // 5 + 100
    one, other = (gray_square(image, 128) for image in (PHOTO, exchanged))
    detail, tiles = measure_agreement(one, other, 1.0, steps=40)
    assert detail > 0.7
    assert tiles < 0.5
    assert found({"photo": PHOTO, "exchanged": exchanged}, tmp_path) == {}


def test_exact_copies_are_paired_with_the_first(tmp_path):
    arrays = {"b": PHOTO, "other": picture(1), "a": PHOTO, "c": PHOTO}
    images = image_set_of(arrays)
    exact = (Pair(0, 2, "exact", 1.0), Pair(0, 3, "exact", 1.0))
    assert find_pairs(images, cache=tmp_path).pairs == exact
    images.reader.decoded.clear()
    assert find_pairs(images, cache=tmp_path / "fresh", near=False).pairs == exact
    assert images.reader.decoded == []


def test_what_cannot_be_judged_is_said_and_exact_copies_of_it_found(tmp_path):
    small = picture(3)[:20, :60]
    ramp = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 150, 0)
    arrays = {
        "small": small,
        "small again": small,
        "another small": picture(4)[:20, :60],
        "white": np.full((90, 90, 3), 255, np.uint8),
        "nearly white": np.full((90, 90, 3), 254, np.uint8),
        "ramp": np.repeat(ramp, 3, 2),
    }
    search = find_pairs(image_set_of(arrays), cache=tmp_path)
    assert search.pairs == (Pair(0, 1, "exact", 1.0),)
    assert [search.not_compared[row][:9] for row in range(6)] == ["too small"] * 3 + ["too flat "] * 3
    again = find_pairs(image_set_of(arrays), cache=tmp_path)
    assert again == search


def test_a_second_search_decodes_nothing_and_a_larger_one_what_is_new(tmp_path):
    arrays = OTHERS | {"photo": PHOTO, "copy": DARKER}
    images = image_set_of(arrays)
    first = find_pairs(images, cache=tmp_path)
    assert len(images.reader.decoded) >= len(arrays)
    images.reader.decoded.clear()
    assert find_pairs(images, cache=tmp_path) == first
    assert images.reader.decoded == []

    more = image_set_of(arrays | {"new": picture(900)})
    assert find_pairs(more, cache=tmp_path).pairs == first.pairs
    assert set(more.reader.decoded) == {"new"}


def test_order_and_names_change_nothing(tmp_path):
    images = image_set_of({"x": DARKER, **OTHERS, "photo": PHOTO, "again": PHOTO})
    (near,) = (p for p in find_pairs(images, cache=tmp_path).pairs if p.kind == "near")
    rows = list(range(len(images)))[::-1]
    turned = replace(images.take(rows), names=tuple(f"n{row}" for row in rows))
    arrays = images.reader.arrays
    reader = ArrayReader({f"n{row}": arrays[images.names[row]] for row in rows})
    turned = replace(turned, reader=reader)
    (other,) = (p for p in find_pairs(turned, cache=tmp_path / "new").pairs if p.kind == "near")
    assert other.likeness == near.likeness
    assert {images.digests[near.first], images.digests[near.second]} == {
        turned.digests[other.first],
        turned.digests[other.second],
    }


def test_a_broken_off_search_goes_on(tmp_path):
    class Interrupted(ArrayReader):
        def read(self, name, digest=None, *, side=None):
            if len(self.decoded) == 6:
                raise KeyboardInterrupt
            return super().read(name, digest, side=side)

    arrays = OTHERS | {"photo": PHOTO, "copy": DARKER}
    images = image_set_of(arrays)
    with pytest.raises(KeyboardInterrupt):
        find_pairs(replace(images, reader=Interrupted(arrays)), cache=tmp_path)
    find_pairs(images, cache=tmp_path)
    # Each once for its thumbnail, but what was stored before; two once more to be made sure of.
    assert len(arrays) - 6 <= len(images.reader.decoded) <= len(arrays) + 2
    assert len(set(images.reader.decoded)) < len(arrays)


def test_a_damaged_result_is_found_anew(tmp_path):
    arrays = {"photo": PHOTO, "copy": DARKER}
    first = found(arrays, tmp_path)
    (kept,) = (tmp_path / "duplicates").iterdir()
    for junk in (b"", b"PK\x03\x04 nonsense", b"\0" * 300):
        kept.write_bytes(junk)
        assert found(arrays, tmp_path) == first
        assert kept.read_bytes() != junk


def test_a_photo_that_cannot_be_read_for_once_is_compared_the_next_time(tmp_path):
    class Away(ArrayReader):
        def read(self, name, digest=None, *, side=None):
            if side == LARGE:
                raise UnreadableImageError(f"{name}: the disk is away")
            return super().read(name, digest, side=side)

    arrays = {"photo": PHOTO, "copy": DARKER}
    images = image_set_of(arrays)
    assert find_pairs(replace(images, reader=Away(arrays)), cache=tmp_path).pairs == ()
    assert not is_cached(images, cache=tmp_path)
    assert len(find_pairs(images, cache=tmp_path).pairs) == 1
    assert is_cached(images.take([1, 0, 1]), cache=tmp_path)


def test_a_result_names_each_reason_once(tmp_path):
    """Sets of small pictures have tens of thousands that are not judged."""
    small = {f"{n}": np.full((4, 4, 3), n % 256, np.uint8) + n // 256 for n in range(300)}
    search = find_pairs(image_set_of(small), cache=tmp_path)
    (kept,) = (tmp_path / "duplicates").iterdir()
    assert len(search.not_compared) > 250
    assert kept.stat().st_size < 10_000


def test_unreadable_images_are_told_and_their_copies_found(tmp_path):
    images = image_set_of({"photo": PHOTO, "bad": picture(5), "copy": DARKER})
    images = images.take([0, 1, 1, 2])
    del images.reader.arrays["bad"]
    for _ in range(2):
        search = find_pairs(images, cache=tmp_path)
        assert [(p.first, p.second, p.kind) for p in search.pairs] == [
            (0, 3, "near"),
            (1, 2, "exact"),
        ]
        assert set(search.unreadable) == {1, 2}
        assert "broken on purpose" in search.unreadable[1]


@pytest.mark.parametrize("n", [0, 1])
def test_few_images(n, tmp_path):
    search = find_pairs(image_set_of(dict(list(OTHERS.items())[:n])), cache=tmp_path)
    assert search.pairs == ()


def test_candidates_are_those_of_a_comparison_of_all(tmp_path):
    arrays = [*OTHERS.values(), PHOTO, *(way(PHOTO) for way in WAYS.values())]
    gray = np.stack([gray_square(image, SIDE) for image in arrays])
    whole = compute_descriptors(gray, 1.0)
    best = np.max([compute_descriptors(gray, crop) @ whole.T for crop in (1.0, 0.95, 0.9)], axis=0)
    best = np.maximum(best, best.T)
    wanted = {pair for pair in combinations(range(len(gray)), 2) if best[pair] >= 0.75}
    made = find_candidates(gray[:9]), find_candidates(gray)
    for few, some in zip(made, (9, len(gray)), strict=True):
        got = {tuple(sorted(pair)) for pair in zip(few.part, few.whole, strict=True)}
        assert len(got) == len(few.part)
        within = {pair for pair in wanted if max(pair) < some}
        # Of 11 alike, each finds its nearest eight.
        assert got <= within
        assert len(got) >= 0.9 * len(within)


def test_a_description_knows_neither_light_nor_contrast_but_the_crop():
    gray = np.stack([gray_square(image, SIDE) for image in (PHOTO, lighter(PHOTO, 0.8, 20))])
    one, other = compute_descriptors(gray, 1.0)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ other > 0.999
    inner = np.stack([gray_square(cropped(PHOTO, 0.05), SIDE)])
    assert compute_descriptors(inner, 1.0)[0] @ compute_descriptors(gray, 0.9)[0] > 0.99 > one @ compute_descriptors(inner, 1.0)[0]


def test_agreement_of_a_picture_with_itself_is_whole():
    gray = gray_square(PHOTO, 128)
    assert measure_agreement(gray, gray, 1.0, steps=10) == pytest.approx((1.0, 1.0), abs=1e-3)
    detail, tiles = measure_agreement(gray, gray_square(picture(1), 128), 1.0, steps=10)
    assert detail < 0.3
    assert tiles < 0.3


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=14))
def test_groups_are_what_can_be_reached(n, links):
    pairs = [Pair(a, b, "near", 0.9) for a, b in links if a < b < n]
    reach = np.eye(n, dtype=bool)
    for pair in pairs:
        reach[pair.first, pair.second] = reach[pair.second, pair.first] = True
    for _ in range(n):
        reach = reach @ reach
    wanted = {tuple(np.flatnonzero(row)) for row in reach if row.sum() > 1}
    got = group_rows(pairs, n)
    assert {tuple(rows) for rows in got} == wanted
    assert got == sorted(got)

"""Contact sheets: the right tiles are marked right, and only what is shown is decoded."""

import time
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.reports import tiles
from outliers_bench.reports.contact_sheet import (
    NEUTRAL,
    QUERY,
    RIGHT,
    WRONG,
    column_left,
    contact_sheets,
    row_top,
)
from outliers_bench.reports.select_queries import pick_queries
from outliers_bench.reports.tiles import TILE
from tests.results import PlainReader, make_result, make_split


@pytest.fixture(autouse=True)
def _no_photos_of_other_tests(monkeypatch):
    monkeypatch.setattr(tiles, "_photos", {})


def frame(sheet, row, column):
    """The color of a tile's frame, at its lower left corner, where there is no mark."""
    return tuple(sheet[row_top(row) + TILE - 2, column_left(column) + 1])


def test_frames_say_right_and_wrong():
    result = make_result(make_split())
    sheets = contact_sheets(result, queries=3, depth=5, seed=0)
    picks = pick_queries(result, queries=3, seed=0)
    assert set(sheets) == {"best", "typical", "worst"}
    query, gallery = result.split.query, result.split.gallery
    seen = set()
    for name, sheet in sheets.items():
        for row, pick in enumerate(picks[name]):
            assert frame(sheet, row, 0) == QUERY
            for rank in range(5):
                found = result.ranking.indices[pick.row, rank]
                right = query.labels[pick.row] == gallery.labels[found]
                assert frame(sheet, row, rank + 1) == (RIGHT if right else WRONG)
                seen.add(bool(right))
    assert seen == {True, False}


def test_without_labels_nothing_is_marked():
    result = make_result(make_split(labeled=False))
    sheets = contact_sheets(result, queries=2, depth=4, seed=0)
    assert set(sheets) == {"sample"}
    assert {frame(sheets["sample"], row, 1) for row in range(2)} == {NEUTRAL}


def test_only_what_is_shown_is_decoded():
    reader = PlainReader()
    result = make_result(make_split(labeled=False, reader=reader))
    contact_sheets(result, queries=2, depth=4, seed=0)
    shown = set()
    for pick in pick_queries(result, queries=2, seed=0)["sample"]:
        shown.add(result.split.query.names[pick.row])
        shown |= {result.split.gallery.names[i] for i in result.ranking.indices[pick.row, :4]}
    assert set(reader.seen) == shown
    assert contact_sheets(result, queries=0, depth=4, seed=0) == {}


def test_the_sheets_of_the_next_run_decode_only_what_those_before_have_not_shown():
    reader = PlainReader()
    result = make_result(make_split(reader=reader))
    first = contact_sheets(result, queries=2, depth=4, seed=0)
    shown = set(reader.seen)
    assert len(reader.seen) < 3 * 2 * (1 + 4)  # some photo stands on several sheets
    again = contact_sheets(result, queries=2, depth=4, seed=0)
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    assert set(reader.seen) == shown
    assert len(reader.seen) < 3 * 2 * (1 + 4)
    contact_sheets(result, queries=3, depth=6, seed=0)
    assert set(reader.seen) > shown


def test_no_more_photos_are_kept_than_may_be(monkeypatch):
    monkeypatch.setattr(tiles, "_PHOTOS", 7)
    contact_sheets(make_result(make_split()), queries=3, depth=5, seed=0)
    assert len(tiles._photos) == 7


@pytest.mark.parametrize("width", [30, 60, 146, 5000])
def test_a_long_name_keeps_both_ends_and_as_much_as_fits(width):
    text = "photos of the summer/2024 08 12/IMG_20240812_183011_edited.jpeg"
    wide = tiles.font(14).getlength
    ways = [f"{text[: (n + 1) // 2]}...{text[-(n // 2) :]}" for n in range(len(text) - 1, 1, -1)]
    fitting = [way for way in (text, *ways) if wide(way) <= width]
    assert tiles.shortened(text, width) == next(iter(fitting), text[:2])


def test_a_caption_is_within_its_line():
    strip = tiles.line("ÅÇgjpqy_|(){}", (0, 0, 0), (255, 255, 255))
    alone = tiles.font(14).getbbox("ÅÇgjpqy_|(){}")
    assert alone[3] <= len(strip) == tiles.LINE


@pytest.mark.parametrize("text", ["1. 0.111", "10. -71.740", "7. 1234.567", "12. -0.000", "1" * 40])
def test_numbers_look_like_any_other_line(text):
    colors = (105, 113, 122), (243, 245, 248)
    whole, strip = tiles.line(text, *colors), tiles.numbers(text, *colors)
    padded = np.full_like(whole, colors[1][::-1])
    padded[:, : strip.shape[1]] = strip
    np.testing.assert_array_equal(padded, whole)


def test_unreadable_images_are_gray_tiles():
    split = make_split()
    gallery = replace(split.gallery, names=tuple(f"broken{i}" for i in range(20)))
    result = make_result(replace(split, gallery=gallery))
    sheet = contact_sheets(result, queries=1, depth=1, seed=0)["best"]
    red, green, blue = sheet[row_top(0) + 40, column_left(1) + 20].astype(int)
    assert max(red, green, blue) - min(red, green, blue) < 10


def test_best_are_better_than_typical_than_worst():
    result = make_result(make_split())
    picks = pick_queries(result, queries=2, seed=1)
    means = [np.mean([pick.quality for pick in picks[n]]) for n in ("best", "typical", "worst")]
    assert means == sorted(means, reverse=True)
    for chosen in picks.values():
        for pick in chosen:
            position = result.evaluation.scored.tolist().index(pick.row)
            expected = result.evaluation.per_query["map_at_r"][position]
            assert pick.quality == pytest.approx(expected)


def test_the_seed_decides_and_classes_take_turns():
    result = make_result(make_split(labeled=True))
    assert pick_queries(result, queries=2, seed=3) == pick_queries(result, queries=2, seed=3)
    everyone = pick_queries(result, queries=4, seed=3)["best"]
    assert len({pick.row for pick in everyone}) == 4


def test_each_tile_shows_its_own_image_however_long_decoding_takes():
    class Slow:
        def read(self, name, *_, **__):
            shade = sum(name.encode()) % 200
            time.sleep(shade % 7 / 500)
            return np.full((30, 30, 3), shade, dtype=np.uint8)

    result = make_result(make_split(reader=Slow()))
    picks = pick_queries(result, queries=3, seed=0)
    for name, sheet in contact_sheets(result, queries=3, depth=6, seed=0).items():
        for row, pick in enumerate(picks[name]):
            shown = [result.split.query.names[pick.row]]
            shown += [result.split.gallery.names[i] for i in result.ranking.indices[pick.row, :6]]
            for column, image in enumerate(shown):
                middle = row_top(row) + TILE // 2, column_left(column) + TILE // 2
                assert tuple(sheet[middle]) == (sum(image.encode()) % 200,) * 3

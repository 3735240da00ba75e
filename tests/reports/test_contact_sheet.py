"""Contact sheets: tiles are marked correctly, and only images shown are decoded."""

import time
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.reports import tiles
from outliers_bench.reports.contact_sheet import (
    check_captions,
    column_left,
    draw_contact_sheets,
    row_top,
)
from outliers_bench.reports.select_queries import select_queries
from outliers_bench.reports.sheet import FAINT, IRRELEVANT, NEUTRAL, PAPER, QUERY, RELEVANT
from outliers_bench.reports.tiles import TILE
from tests.results import PlainReader, make_result, make_split


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch):
    monkeypatch.setattr(tiles, "_photos", {})


def frame(sheet, row, column):
    """Return the color of a tile's frame at its lower left corner, which has no mark."""
    return tuple(sheet[row_top(row) + TILE - 2, column_left(column) + 1])


def test_frames_mark_relevance():
    result = make_result(make_split())
    sheets = draw_contact_sheets(result, queries=3, depth=5, seed=0)
    selected = select_queries(result, queries=3, seed=0)
    assert set(sheets) == {"best", "typical", "worst"}
    query, gallery = result.split.query, result.split.gallery
    seen = set()
    for name, sheet in sheets.items():
        for row, shown in enumerate(selected[name]):
            assert frame(sheet, row, 0) == QUERY
            for rank in range(5):
                match = result.ranking.indices[shown.row, rank]
                relevant = query.labels[shown.row] == gallery.labels[match]
                assert frame(sheet, row, rank + 1) == (RELEVANT if relevant else IRRELEVANT)
                seen.add(bool(relevant))
    assert seen == {True, False}


def test_without_labels_nothing_is_marked():
    result = make_result(make_split(labeled=False))
    sheets = draw_contact_sheets(result, queries=2, depth=4, seed=0)
    assert set(sheets) == {"sample"}
    assert {frame(sheets["sample"], row, 1) for row in range(2)} == {NEUTRAL}


def test_only_shown_images_are_decoded():
    reader = PlainReader()
    result = make_result(make_split(labeled=False, reader=reader))
    draw_contact_sheets(result, queries=2, depth=4, seed=0)
    shown = set()
    for query in select_queries(result, queries=2, seed=0)["sample"]:
        shown.add(result.split.query.names[query.row])
        shown |= {result.split.gallery.names[i] for i in result.ranking.indices[query.row, :4]}
    assert set(reader.seen) == shown
    assert draw_contact_sheets(result, queries=0, depth=4, seed=0) == {}


def test_the_next_sheets_decode_only_images_not_shown_before():
    reader = PlainReader()
    result = make_result(make_split(reader=reader))
    first = draw_contact_sheets(result, queries=2, depth=4, seed=0)
    shown = set(reader.seen)
    assert len(reader.seen) < 3 * 2 * (1 + 4)  # some photos are on several sheets
    again = draw_contact_sheets(result, queries=2, depth=4, seed=0)
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    assert set(reader.seen) == shown
    assert len(reader.seen) < 3 * 2 * (1 + 4)
    draw_contact_sheets(result, queries=3, depth=6, seed=0)
    assert set(reader.seen) > shown


def test_the_cache_of_photos_is_limited(monkeypatch):
    monkeypatch.setattr(tiles, "_PHOTOS", 7)
    draw_contact_sheets(make_result(make_split()), queries=3, depth=5, seed=0)
    assert len(tiles._photos) == 7


@pytest.mark.parametrize("width", [30, 60, 146, 5000])
def test_a_long_name_keeps_both_ends_and_as_much_as_fits(width):
    text = "photos of the summer/2024 08 12/IMG_20240812_183011_edited.jpeg"
    length = tiles.font(14).getlength
    candidates = [
        f"{text[: (n + 1) // 2]}...{text[-(n // 2) :]}" for n in range(len(text) - 1, 1, -1)
    ]
    fitting = [short for short in (text, *candidates) if length(short) <= width]
    assert tiles.shorten(text, width) == next(iter(fitting), text[:2])


def test_a_caption_fits_its_line():
    strip = tiles.text_line("ÅÇgjpqy_|(){}", (0, 0, 0), (255, 255, 255))
    alone = tiles.font(14).getbbox("ÅÇgjpqy_|(){}")
    assert alone[3] <= len(strip) == tiles.LINE


@pytest.mark.parametrize("text", ["1. 0.111", "10. -71.740", "7. 1234.567", "12. -0.000", "1" * 40])
def test_numbers_from_cached_characters_look_like_text(text):
    colors = (105, 113, 122), (243, 245, 248)
    whole, strip = tiles._line(text, *colors), tiles.text_line(text, *colors)
    padded = np.full_like(whole, colors[1])
    padded[:, : strip.shape[1]] = strip
    np.testing.assert_array_equal(padded, whole)


def test_unreadable_images_are_gray_tiles():
    split = make_split()
    gallery = replace(split.gallery, names=tuple(f"broken{i}" for i in range(20)))
    result = make_result(replace(split, gallery=gallery))
    sheet = draw_contact_sheets(result, queries=1, depth=1, seed=0)["best"]
    red, green, blue = sheet[row_top(0) + 40, column_left(1) + 20].astype(int)
    assert max(red, green, blue) - min(red, green, blue) < 10


def test_quality_falls_from_best_to_typical_to_worst():
    result = make_result(make_split())
    selected = select_queries(result, queries=2, seed=1)
    means = [
        np.mean([query.quality for query in selected[n]]) for n in ("best", "typical", "worst")
    ]
    assert means == sorted(means, reverse=True)
    for queries in selected.values():
        for query in queries:
            position = result.evaluation.scored.tolist().index(query.row)
            expected = result.evaluation.per_query["map_at_r"][position]
            assert query.quality == pytest.approx(expected)


def test_selection_is_seeded_and_queries_differ():
    result = make_result(make_split(labeled=True))
    assert select_queries(result, queries=2, seed=3) == select_queries(result, queries=2, seed=3)
    best = select_queries(result, queries=4, seed=3)["best"]
    assert len({query.row for query in best}) == 4


def test_each_tile_shows_its_own_image_however_long_decoding_takes():
    class SlowReader:
        def read(self, name, *_, **__):
            shade = sum(name.encode()) % 200
            time.sleep(shade % 7 / 500)
            return np.full((30, 30, 3), shade, dtype=np.uint8)

    result = make_result(make_split(reader=SlowReader()))
    selected = select_queries(result, queries=3, seed=0)
    for name, sheet in draw_contact_sheets(result, queries=3, depth=6, seed=0).items():
        for row, query in enumerate(selected[name]):
            shown = [result.split.query.names[query.row]]
            shown += [result.split.gallery.names[i] for i in result.ranking.indices[query.row, :6]]
            for column, image in enumerate(shown):
                middle = row_top(row) + TILE // 2, column_left(column) + TILE // 2
                assert tuple(sheet[middle]) == (sum(image.encode()) % 200,) * 3


def with_columns(**columns):
    split = make_split()
    parts = {
        name: replace(part, columns={c: np.resize(v, len(part)) for c, v in columns.items()})
        for name, part in (("query", split.query), ("gallery", split.gallery))
    }
    return replace(split, **parts)


def test_captions_are_lines_below_the_photos():
    times = np.array(["2024-05-01T12:00", "NaT"], dtype="M8[ns]")
    split = with_columns(camera=np.array(["north"], dtype=object), time=times)
    result = make_result(split)
    plain = draw_contact_sheets(result, queries=2, depth=3, seed=0)["best"]
    empty = draw_contact_sheets(make_result(make_split()), queries=2, depth=3, seed=0)["best"]
    np.testing.assert_array_equal(plain, empty)  # columns are shown on request
    captions = ["camera", "path", "time"]
    sheet = draw_contact_sheets(result, queries=2, depth=3, seed=0, captions=captions)["best"]
    assert len(sheet) - len(plain) == 2 * 3 * tiles.LINE
    row = select_queries(result, queries=2, seed=0)["best"][0].row
    rank_0 = int(result.ranking.indices[row, 0])
    for column, text in (
        (0, "north"),
        (1, split.gallery.names[rank_0]),
        (2, "2024-05-01 12:00:00" if rank_0 % 2 == 0 else ""),
    ):
        top = row_top(0) + TILE + 2 + (2 + column) * tiles.LINE
        line = sheet[top : top + tiles.LINE, column_left(1) : column_left(1) + TILE]
        expected = tiles.text_line(text, FAINT, PAPER)
        np.testing.assert_array_equal(line[:, : expected.shape[1]], expected)
    second = sheet[row_top(1, 3) + TILE - 2, column_left(0) + 1]
    assert tuple(second) == QUERY


def test_captions_of_no_column_are_refused():
    split = with_columns(camera=np.array(["north"], dtype=object))
    check_captions(split, ["camera", "path"])
    with pytest.raises(BenchError, match=r"captions=\[time\]: .* no column time; .* path, camera"):
        check_captions(split, ["time"])

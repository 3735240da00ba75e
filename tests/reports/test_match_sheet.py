"""Match sheets: lines join the matched points, frames mark relevance, overlays are aligned."""

import cv2
import numpy as np
import pytest

from outliers_bench.reports.match_sheet import (
    GALLERY_LEFT,
    HEIGHT,
    MAX_LINES,
    OVERLAY_LEFT,
    QUERY_LEFT,
    WIDTH,
    MatchPicture,
    _describe_matches,
    _select_lines,
    draw_match_sheet,
    row_top,
)
from outliers_bench.reports.sheet import IRRELEVANT, MARGIN, NEUTRAL, QUERY, RELEVANT
from outliers_bench.reports.tiles import FRAME

SIDE = HEIGHT - 2 * FRAME  # of a square photo, as shown
LEFT = (QUERY_LEFT, GALLERY_LEFT, OVERLAY_LEFT)


def plain(height, width, shade=120):
    return np.full((height, width, 3), shade, dtype=np.uint8)


def texture(side, seed=0):
    """Return soft blobs, which shrinking does not change."""
    coarse = np.random.default_rng(seed).integers(0, 256, (side // 20, side // 20, 3))
    return cv2.resize(coarse.astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)


def picture(query=None, gallery=None, points=(), gallery_points=None, **changes):
    points = np.array(points, dtype=np.float32).reshape(-1, 2)
    values = {
        "query": plain(SIDE, SIDE) if query is None else query,
        "gallery": plain(SIDE, SIDE) if gallery is None else gallery,
        "query_points": points,
        "gallery_points": (
            points if gallery_points is None else np.array(gallery_points, dtype=np.float32)
        ),
        "inliers": np.ones(len(points), dtype=bool),
        "transform": None,
        "query_caption": "query",
        "gallery_caption": "gallery",
        "is_relevant": None,
    }
    return MatchPicture(**(values | changes))


def pixels(rows, title="title"):
    return draw_match_sheet(rows, title=title).astype(int)


def panel(rows, row, column):
    """Return what a frame holds; column 0 is the query, 1 the gallery photo, 2 the overlay."""
    top, left = row_top(row) + FRAME, LEFT[column] + FRAME
    return pixels(rows)[top : top + HEIGHT - 2 * FRAME, left : left + WIDTH - 2 * FRAME]


def square(rows, row, column):
    """Return the square photo that a frame holds."""
    return panel(rows, row, column)[:, (WIDTH - HEIGHT) // 2 :][:, :SIDE]


def colorful(area):
    """Return the mask of pixels that are not gray."""
    return area.max(axis=2) - area.min(axis=2) > 60


def test_frames_mark_relevance():
    rows = [picture(is_relevant=relevant) for relevant in (True, False, None)]
    sheet = draw_match_sheet(rows, title="title")
    for row, color in enumerate((RELEVANT, IRRELEVANT, NEUTRAL)):
        corner = row_top(row) + HEIGHT - 2  # at the bottom, away from the mark
        for left, expected in ((QUERY_LEFT, QUERY), (GALLERY_LEFT, color), (OVERLAY_LEFT, NEUTRAL)):
            assert tuple(sheet[corner, left + 2]) == expected


def test_the_sheet_holds_its_rows():
    one, three = (draw_match_sheet([picture()] * n, title="title") for n in (1, 3))
    assert one.shape[1] == three.shape[1] == OVERLAY_LEFT + WIDTH + MARGIN
    assert len(three) - len(one) == row_top(2) - row_top(0)
    assert len(draw_match_sheet([], title="nothing")) < len(one)


def test_marks_differ_in_shape_as_well_as_color():
    marks = []
    for relevant in (True, False):
        rows = [picture(is_relevant=relevant)]
        top, edge = row_top(0), GALLERY_LEFT + WIDTH
        marks.append((pixels(rows)[top : top + 26, edge - 26 : edge] > 250).all(axis=2))
    assert marks[0].any()
    assert marks[1].any()
    assert (marks[0] != marks[1]).any()


def test_lines_join_the_points():
    # Twice and half as large as on the sheet, and centered in wider columns.
    rows = [picture(plain(600, 600), plain(150, 100), [(100, 500)], gallery_points=[(50, 20)])]
    sheet, top = pixels(rows), row_top(0) + FRAME
    start = QUERY_LEFT + (WIDTH - 300) // 2 + 50, top + 250
    end = GALLERY_LEFT + (WIDTH - 200) // 2 + 101, top + 41
    middle = (start[0] + end[0]) // 2, (start[1] + end[1]) // 2
    seen = colorful(sheet[: row_top(0) + HEIGHT])
    for x, y in (start, middle, end):
        assert seen[y - 1 : y + 2, x - 1 : x + 2].any()
    beyond = seen.copy()
    beyond[:, start[0] - 5 : end[0] + 6] = False
    assert not beyond[row_top(0) : row_top(0) + HEIGHT].any()


def test_outliers_are_faint_and_underneath():
    points = [(20, 150), (20, 150)]
    agree = picture(points=points[:1])
    both = picture(points=points, inliers=np.array([False, True]))
    others = picture(points=points[:1], inliers=np.array([False]))
    assert np.array_equal(*(colorful(square([row], 0, 0)) for row in (agree, both)))
    line = square([others], 0, 0)[150, 30:] - 120
    assert 5 < line.max() < 40


def test_many_matches_are_subsampled_evenly():
    points = [(150, y) for y in np.linspace(5, 295, 500)]
    positions = _select_lines(np.ones(500, dtype=bool), np.array(points))
    assert len(set(positions)) == MAX_LINES
    assert (positions[0], positions[-1]) == (0, 499)
    assert set(np.diff(positions)) <= {8, 9}
    chosen = picture(points=[points[position] for position in positions])
    drawn = panel([picture(points=points)], 0, 0)
    assert np.array_equal(drawn, panel([chosen], 0, 0))
    assert colorful(drawn).any()
    none = np.zeros(500, dtype=bool)
    assert not colorful(panel([picture(points=points, inliers=none)], 0, 0)).any()


def test_counts_include_matches_that_are_not_drawn():
    assert _describe_matches(np.arange(57) < 31) == "31 inliers of 57 matches"
    assert _describe_matches(np.zeros(0, dtype=bool)) == "0 inliers of 0 matches"
    assert _describe_matches(np.arange(1500) < 1430) == (
        "1,430 inliers of 1,500 matches; drawn: 60 and 60 others"
    )


@pytest.mark.parametrize("side", [300, 600, 150, 40], ids=lambda side: f"side{side}")
def test_a_shifted_query_is_aligned_in_the_overlay(side):
    dx, dy = side // 6, side // 10
    scene = texture(max(2 * side, 40), seed=3)
    query, gallery = scene[dy : dy + side, dx : dx + side], scene[:side, :side]
    shift = np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1]], dtype=np.float64)
    gallery_shown = square([picture(query, gallery)], 0, 1)
    overlay = square([picture(query, gallery, transform=shift)], 0, 2)
    edge = round(dy * SIDE / side), round(dx * SIDE / side)
    common = np.s_[edge[0] + 12 :, edge[1] + 12 :]
    assert np.abs(overlay - gallery_shown)[common].mean() < 3
    wrong = square([picture(query, gallery, transform=np.linalg.inv(shift))], 0, 2)
    assert np.abs(wrong - gallery_shown)[:150, :150].mean() > 10
    # The gallery photo is paler where the query does not cover it.
    uncovered = np.s_[: edge[0] - 5]
    assert np.allclose(overlay[uncovered], (gallery_shown[uncovered] + 255) / 2, atol=1)


def test_photos_of_different_sizes_and_a_perspective_are_aligned():
    query = texture(400, seed=5)
    corners = np.array([[0, 0], [399, 0], [399, 399], [0, 399]], dtype=np.float32)
    corners_in_gallery = np.array([[30, 20], [560, 60], [500, 420], [60, 380]], dtype=np.float32)
    bent = cv2.getPerspectiveTransform(corners, corners_in_gallery)
    gallery = cv2.warpPerspective(query, bent, (600, 450))
    rows = [picture(query, gallery, transform=bent)]
    gallery_shown, overlay = panel(rows, 0, 1), panel(rows, 0, 2)
    assert np.abs(overlay - gallery_shown)[80:220, 80:320].mean() < 3


@pytest.mark.parametrize(
    "transform",
    [None, np.zeros((3, 3)), np.full((3, 3), np.nan)],
    ids=["none", "singular", "not numbers"],
)
def test_without_geometry_the_panel_is_gray(transform):
    area = panel([picture(texture(300), texture(300), transform=transform)], 0, 2)
    assert not colorful(area).any()
    assert (area.max(axis=2) - area.min(axis=2)).max() < 20
    assert area.std() > 0  # the text


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 4000), (4000, 1), (80, 1600)], ids=["dot", "wide", "tall", "panorama"]
)
def test_photos_of_any_shape_fit(shape):
    odd = plain(*shape)
    both = picture(odd, odd, points=[(0, 0)], transform=np.eye(3), is_relevant=True)
    for first in (picture(query=odd), picture(gallery=odd), picture(odd, odd)):
        rows = [first, both]
        assert pixels(rows).shape[1] == OVERLAY_LEFT + WIDTH + MARGIN
        assert (panel(rows, 0, 0) == 120).all(axis=2).any()
        assert (panel(rows, 0, 1) == 120).all(axis=2).any()


def test_long_captions_do_not_exceed_their_columns():
    long = "a caption that is much too long for a narrow column " * 4
    rows = [picture(query_caption=long, gallery_caption=long, is_relevant=True)]
    sheet = pixels(rows, title=long * 3)
    below = sheet[row_top(0) + HEIGHT + 1 :]
    assert (below[:, QUERY_LEFT : QUERY_LEFT + WIDTH] < 100).any()
    for left, right in (
        (QUERY_LEFT + WIDTH, GALLERY_LEFT),
        (GALLERY_LEFT + WIDTH, sheet.shape[1]),
    ):
        assert (below[:, left:right] == 255).all()


def test_the_photos_are_not_modified():
    query, gallery = texture(300), texture(300, seed=1)
    before = query.copy(), gallery.copy()
    draw_match_sheet(
        [picture(query[:, ::-1], gallery, points=[(3, 4)], transform=np.eye(3))], title="t"
    )
    assert np.array_equal(query, before[0])
    assert np.array_equal(gallery, before[1])

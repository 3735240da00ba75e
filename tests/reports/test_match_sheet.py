"""Pictures of matches: lines start where points are, frames say right, overlays lie where told."""

import cv2
import numpy as np
import pytest

from outliers_bench.reports.contact_sheet import FRAME, NEUTRAL, QUERY, RIGHT, WRONG
from outliers_bench.reports.match_sheet import (
    HEIGHT,
    MOST_LINES,
    MatchPicture,
    _counts,
    _drawn,
    columns,
    match_sheet,
    row_top,
)


def plain(height, width, shade=120):
    return np.full((height, width, 3), shade, dtype=np.uint8)


def texture(side, seed=0):
    """Soft blobs, which shrinking leaves as they are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (side // 20, side // 20, 3))
    return cv2.resize(coarse.astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)


def picture(query=None, found=None, points=(), moved=None, **changes):
    points = np.array(points, dtype=np.float32).reshape(-1, 2)
    values = {
        "query": plain(HEIGHT, HEIGHT) if query is None else query,
        "found": plain(HEIGHT, HEIGHT) if found is None else found,
        "query_points": points,
        "found_points": points if moved is None else np.array(moved, dtype=np.float32),
        "inliers": np.ones(len(points), dtype=bool),
        "transform": None,
        "query_caption": "asked",
        "found_caption": "found",
        "right": None,
    }
    return MatchPicture(**(values | changes))


def pixels(rows, title="title"):
    return np.asarray(match_sheet(rows, title=title)).astype(int)


def panel(rows, row, column):
    """What a frame holds: 0 the query, 1 what was found, 2 the overlay."""
    places = columns(rows)
    left = (places.query, places.found, places.overlay)[column]
    wide = (places.query_width, places.found_width, places.found_width)[column]
    return pixels(rows)[row_top(row) : row_top(row) + HEIGHT, left : left + wide]


def colorful(area):
    """Where something other than gray is drawn."""
    return area.max(axis=2) - area.min(axis=2) > 60


def test_frames_say_right_and_wrong():
    rows = [picture(right=right) for right in (True, False, None)]
    sheet, places = match_sheet(rows, title="title"), columns(rows)
    for row, color in enumerate((RIGHT, WRONG, NEUTRAL)):
        corner = row_top(row) + HEIGHT + FRAME - 2  # at the bottom, where there is no mark
        assert sheet.getpixel((places.query - 2, corner)) == QUERY
        assert sheet.getpixel((places.found - 2, corner)) == color
        assert sheet.getpixel((places.overlay - 2, corner)) == NEUTRAL


def test_the_sheet_holds_its_rows():
    one, three = (match_sheet([picture()] * n, title="title") for n in (1, 3))
    assert one.mode == "RGB"
    assert one.width == three.width == columns([picture()]).width
    assert three.height - one.height == row_top(2) - row_top(0)
    assert match_sheet([], title="nothing").height < one.height


def test_right_and_wrong_are_told_apart_without_colors_too():
    marks = []
    for right in (True, False):
        rows = [picture(right=right)]
        places, top = columns(rows), row_top(0) - FRAME
        edge = places.found + places.found_width + FRAME
        marks.append((pixels(rows)[top : top + 26, edge - 26 : edge] > 250).all(axis=2))
    assert marks[0].any()
    assert marks[1].any()
    assert (marks[0] != marks[1]).any()


def test_lines_join_the_points():
    # Twice as large as shown, and shown in the middle of a wider column.
    rows = [
        picture(plain(600, 600), plain(150, 100), [(100, 500)], moved=[(50, 20)]),
        picture(plain(300, 400), plain(300, 400)),
    ]
    places, sheet = columns(rows), pixels(rows)
    start = places.query + 50 + 50, row_top(0) + 250
    end = places.found + 100 + 101, row_top(0) + 41
    middle = (start[0] + end[0]) // 2, (start[1] + end[1]) // 2
    seen = colorful(sheet[: row_top(0) + HEIGHT])
    for x, y in (start, middle, end):
        assert seen[y - 1 : y + 2, x - 1 : x + 2].any()
    beyond = seen.copy()
    beyond[:, start[0] - 5 : end[0] + 6] = False
    assert not beyond[row_top(0) : row_top(0) + HEIGHT].any()


def test_matches_that_do_not_agree_are_faint_and_underneath():
    points = [(20, 150), (20, 150)]
    agree = picture(points=points[:1])
    both = picture(points=points, inliers=np.array([False, True]))
    others = picture(points=points[:1], inliers=np.array([False]))
    assert np.array_equal(*(colorful(panel([row], 0, 0)) for row in (agree, both)))
    line = panel([others], 0, 0)[150, 30:] - 120
    assert 5 < line.max() < 40


def test_of_many_matches_an_even_choice_is_drawn():
    points = [(150, y) for y in np.linspace(5, 295, 500)]
    positions = _drawn(np.ones(500, dtype=bool), np.array(points))
    assert len(set(positions)) == MOST_LINES
    assert (positions[0], positions[-1]) == (0, 499)
    assert set(np.diff(positions)) <= {8, 9}
    chosen = picture(points=[points[position] for position in positions])
    drawn = panel([picture(points=points)], 0, 0)
    assert np.array_equal(drawn, panel([chosen], 0, 0))
    assert colorful(drawn).any()
    none = np.zeros(500, dtype=bool)
    assert not colorful(panel([picture(points=points, inliers=none)], 0, 0)).any()


def test_the_counts_say_what_is_not_drawn():
    assert _counts(np.arange(57) < 31) == "31 inliers of 57 matches"
    assert _counts(np.zeros(0, dtype=bool)) == "0 inliers of 0 matches"
    assert _counts(np.arange(1500) < 1430) == (
        "1,430 inliers of 1,500 matches; drawn: 60 and 60 others"
    )


@pytest.mark.parametrize("side", [300, 600, 150, 40], ids=lambda side: f"side{side}")
def test_a_planted_shift_is_aligned_in_the_overlay(side):
    dx, dy = side // 6, side // 10
    scene = texture(max(2 * side, 40), seed=3)
    query, found = scene[dy : dy + side, dx : dx + side], scene[:side, :side]
    shift = np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1]], dtype=np.float64)
    found_shown = panel([picture(query, found)], 0, 1)
    overlay = panel([picture(query, found, transform=shift)], 0, 2)
    edge = round(dy * HEIGHT / side), round(dx * HEIGHT / side)
    common = np.s_[edge[0] + 12 :, edge[1] + 12 :]
    assert np.abs(overlay - found_shown)[common].mean() < 3
    wrong = panel([picture(query, found, transform=np.linalg.inv(shift))], 0, 2)
    assert np.abs(wrong - found_shown)[:150, :150].mean() > 10
    # Where the query does not reach, the found photo is paler.
    uncovered = np.s_[: edge[0] - 5]
    assert np.allclose(overlay[uncovered], (found_shown[uncovered] + 255) / 2, atol=1)


def test_photos_of_different_sizes_and_a_perspective_are_aligned():
    query = texture(400, seed=5)
    corners = np.array([[0, 0], [399, 0], [399, 399], [0, 399]], dtype=np.float32)
    places = np.array([[30, 20], [560, 60], [500, 420], [60, 380]], dtype=np.float32)
    bent = cv2.getPerspectiveTransform(corners, places)
    found = cv2.warpPerspective(query, bent, (600, 450))
    rows = [picture(query, found, transform=bent)]
    found_shown, overlay = panel(rows, 0, 1), panel(rows, 0, 2)
    assert np.abs(overlay - found_shown)[80:220, 80:320].mean() < 3


@pytest.mark.parametrize(
    "transform",
    [None, np.zeros((3, 3)), np.full((3, 3), np.nan)],
    ids=["none", "singular", "not numbers"],
)
def test_without_geometry_the_panel_is_gray(transform):
    area = panel([picture(texture(300), texture(300), transform=transform)], 0, 2)
    assert not colorful(area).any()
    assert (area.max(axis=2) - area.min(axis=2)).max() < 20
    assert area.std() > 0  # the words


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 4000), (4000, 1), (80, 1600)], ids=["dot", "wide", "tall", "panorama"]
)
def test_photos_of_any_shape_fit(shape):
    odd = plain(*shape)
    both = picture(odd, odd, points=[(0, 0)], transform=np.eye(3), right=True)
    for first in (picture(query=odd), picture(found=odd), picture(odd, odd)):
        rows = [first, both]
        places, sheet = columns(rows), pixels(rows)
        assert sheet.shape[1] == places.width < 1500
        assert (panel(rows, 0, 0) == 120).all(axis=2).any()
        assert (panel(rows, 0, 1) == 120).all(axis=2).any()


def test_long_captions_stay_in_their_columns():
    long = "a caption that is much too long for a narrow column " * 4
    rows = [picture(query_caption=long, found_caption=long, right=True)]
    places, sheet = columns(rows), pixels(rows, title=long * 3)
    below = sheet[row_top(0) + HEIGHT + FRAME + 1 :]
    assert (below[:, places.query : places.found - FRAME - 8] < 100).any()
    for left, right in (
        (places.query + places.query_width + FRAME + 2, places.found - FRAME),
        (places.found + places.found_width + FRAME + 2, places.width),
    ):
        assert (below[:, left:right] == 255).all()


def test_the_photos_given_are_left_as_they_are():
    query, found = texture(300), texture(300, seed=1)
    before = query.copy(), found.copy()
    match_sheet([picture(query[:, ::-1], found, points=[(3, 4)], transform=np.eye(3))], title="t")
    assert np.array_equal(query, before[0])
    assert np.array_equal(found, before[1])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="1 matches, but points of shapes"):
        picture(inliers=np.ones(1, dtype=bool))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        picture(transform=np.ones((2, 3)))

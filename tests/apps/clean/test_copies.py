"""Selection of the duplicates to move and the photo to retain."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.clean.copies import find_duplicates, find_label_conflicts
from outliers_bench.apps.clean.findings import Photo
from outliers_bench.apps.clean.image_stats import ImageStats


def photo(name: str, content: str, *, side: int = 100, part: int = 0) -> Photo:
    label = name.partition("/")[0] if "/" in name else None
    return Photo(name, label, part, content.encode(), ImageStats(side, side, 200))


def near(**pairs: float) -> dict[bytes, dict[bytes, float]]:
    """Return likeness by content and content, in both orders; `ab=0.9` is that of a and b."""
    similar: dict[bytes, dict[bytes, float]] = {}
    for pair, likeness in pairs.items():
        for first, second in (pair, pair[::-1]):
            similar.setdefault(first.encode(), {})[second.encode()] = likeness
    return similar


def summarize(findings) -> list[tuple[str, str, str, float | None]]:
    return sorted((item.path, item.kind, item.other, item.likeness) for item in findings)


def test_first_of_exact_duplicates_is_retained() -> None:
    photos = [photo("a/3", "x"), photo("a/1", "x"), photo("a/2", "x"), photo("a/4", "y")]
    assert summarize(find_duplicates(photos, {}, move_near=True)) == [
        ("a/2", "duplicate", "a/1", 1.0),
        ("a/3", "duplicate", "a/1", 1.0),
    ]


def test_duplicate_with_the_ending_of_an_image_is_retained() -> None:
    photos = [photo("a/0", "x"), photo("a/0.jpg.1", "x"), photo("a/1.JPG", "x")]
    assert summarize(find_duplicates(photos, {}, move_near=True)) == [
        ("a/0", "duplicate", "a/1.JPG", 1.0),
        ("a/0.jpg.1", "duplicate", "a/1.JPG", 1.0),
    ]


def test_largest_near_duplicate_is_retained() -> None:
    photos = [photo("a/1", "x"), photo("a/2", "x"), photo("a/3", "y", side=200)]
    assert summarize(find_duplicates(photos, near(xy=0.9), move_near=True)) == [
        ("a/1", "near_duplicate", "a/3", 0.9),
        ("a/2", "near_duplicate", "a/3", 0.9),
    ]
    # If near duplicates stay, one of the exact duplicates does.
    assert summarize(find_duplicates(photos, near(xy=0.9), move_near=False)) == [
        ("a/1", "near_duplicate", "a/3", 0.9),
        ("a/2", "duplicate", "a/1", 1.0),
    ]


def test_near_duplicates_are_not_transitive() -> None:
    # b is similar to a, c to b, but c not to a.
    photos = [photo(f"z/{name}", name, side=100 - row) for row, name in enumerate("abc")]
    assert summarize(find_duplicates(photos, near(ab=0.9, bc=0.8), move_near=True)) == [
        ("z/b", "near_duplicate", "z/a", 0.9)
    ]


def test_query_is_preferred_to_a_larger_gallery_photo() -> None:
    photos = [photo("a/1", "x", part=1, side=300), photo("a/2", "y"), photo("a/0", "x", part=2)]
    assert summarize(find_duplicates(photos, near(xy=0.9), move_near=True)) == [
        ("a/0", "near_duplicate", "a/2", 0.9),
        ("a/1", "near_duplicate", "a/2", 0.9),
    ]


def test_duplicates_under_two_labels_are_conflicts_only() -> None:
    photos = [photo("a/1", "x"), photo("b/1", "x"), photo("c/1", "y"), photo("d", "x")]
    assert find_duplicates(photos, near(xy=0.9), move_near=True) == []
    findings = find_label_conflicts(photos, near(xy=0.9))
    assert summarize(findings) == [
        ("a/1", "conflicting_labels", "b/1", 1.0),
        ("b/1", "conflicting_labels", "a/1", 1.0),
        ("c/1", "conflicting_labels", "a/1", 0.9),
    ]
    assert findings[0].detail == "labeled 'a', but 'b' in b/1"


CONTENTS = "uvwxyz"
PHOTOS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(CONTENTS), st.integers(1, 3)), max_size=14
)
NEAR = st.dictionaries(
    st.sampled_from([a + b for a in CONTENTS for b in CONTENTS if a < b]),
    st.floats(0.5, 0.99),
    max_size=6,
)


@settings(deadline=None)
@given(specs=PHOTOS, pairs=NEAR, move_near=st.booleans())
def test_every_moved_photo_is_similar_to_a_better_one(specs, pairs, move_near) -> None:
    photos = {
        f"{label}/{row}": photo(f"{label}/{row}", content, side=100 * side)
        for row, (label, content, side) in enumerate(specs)
    }
    likeness = near(**pairs)
    findings = find_duplicates(photos.values(), likeness, move_near=move_near)
    kinds = {"duplicate", "near_duplicate"} if move_near else {"duplicate"}
    to_move = {item.path for item in findings if item.kind in kinds}
    assert len({item.path for item in findings}) == len(findings)
    for item in findings:
        if item.path not in to_move:
            continue
        moved, retained = photos[item.path], photos[item.other]
        assert item.other not in to_move
        assert retained.label == moved.label
        assert retained.sort_key < moved.sort_key
        similar = likeness.get(moved.digest, {})
        assert moved.digest == retained.digest or similar[retained.digest] == item.likeness
    # No superfluous photo remains.
    remaining = [photo for name, photo in photos.items() if name not in to_move]
    for row, first in enumerate(remaining):
        for second in remaining[:row]:
            if first.label == second.label:
                assert first.digest != second.digest
                assert not move_near or second.digest not in likeness.get(first.digest, {})

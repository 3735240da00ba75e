"""Which of several copies stays."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.clean.copies import conflict_findings, duplicate_findings
from outliers_bench.apps.clean.findings import Photo
from outliers_bench.apps.clean.image_stats import Look


def photo(name: str, content: str, *, side: int = 100, part: int = 0) -> Photo:
    label = name.partition("/")[0] if "/" in name else None
    return Photo(name, label, part, content.encode(), Look(side, side, 200))


def near(**pairs: float) -> dict[tuple[bytes, bytes], float]:
    """`ab=0.9`: contents a and b, both ways round."""
    return {
        (first.encode(), second.encode()): likeness
        for pair, likeness in pairs.items()
        for first, second in (pair, pair[::-1])
    }


def told(findings) -> list[tuple[str, str, str, float | None]]:
    return sorted((item.path, item.kind, item.other, item.likeness) for item in findings)


def test_of_exact_copies_the_first_by_name_stays() -> None:
    photos = [photo("a/3", "x"), photo("a/1", "x"), photo("a/2", "x"), photo("a/4", "y")]
    assert told(duplicate_findings(photos, {}, near_goes=True)) == [
        ("a/2", "duplicate", "a/1", 1.0),
        ("a/3", "duplicate", "a/1", 1.0),
    ]


def test_of_near_copies_the_largest_stays_and_all_copies_of_the_others_go() -> None:
    photos = [photo("a/1", "x"), photo("a/2", "x"), photo("a/3", "y", side=200)]
    assert told(duplicate_findings(photos, near(xy=0.9), near_goes=True)) == [
        ("a/1", "near_duplicate", "a/3", 0.9),
        ("a/2", "near_duplicate", "a/3", 0.9),
    ]
    # Where near ones stay, one of the exact ones does.
    assert told(duplicate_findings(photos, near(xy=0.9), near_goes=False)) == [
        ("a/1", "near_duplicate", "a/3", 0.9),
        ("a/2", "duplicate", "a/1", 1.0),
    ]


def test_a_photo_goes_only_for_one_that_is_like_it() -> None:
    # b is like a, c like b, and c not like a.
    photos = [photo(f"z/{name}", name, side=100 - row) for row, name in enumerate("abc")]
    assert told(duplicate_findings(photos, near(ab=0.9, bc=0.8), near_goes=True)) == [
        ("z/b", "near_duplicate", "z/a", 0.9)
    ]


def test_a_query_stays_before_a_larger_photo_in_the_gallery() -> None:
    photos = [photo("a/1", "x", part=1, side=300), photo("a/2", "y"), photo("a/0", "x", part=2)]
    assert told(duplicate_findings(photos, near(xy=0.9), near_goes=True)) == [
        ("a/0", "near_duplicate", "a/2", 0.9),
        ("a/1", "near_duplicate", "a/2", 0.9),
    ]


def test_copies_under_two_labels_conflict_and_do_not_stand_for_each_other() -> None:
    photos = [photo("a/1", "x"), photo("b/1", "x"), photo("c/1", "y"), photo("d", "x")]
    assert duplicate_findings(photos, near(xy=0.9), near_goes=True) == []
    found = conflict_findings(photos, near(xy=0.9))
    assert told(found) == [
        ("a/1", "conflicting_labels", "b/1", 1.0),
        ("b/1", "conflicting_labels", "a/1", 1.0),
        ("c/1", "conflicting_labels", "a/1", 0.9),
    ]
    assert found[0].detail == "is 'a' here and 'b' as b/1"


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
@given(given=PHOTOS, pairs=NEAR, near_goes=st.booleans())
def test_whatever_goes_is_like_something_better_that_stays(given, pairs, near_goes) -> None:
    photos = {
        f"{label}/{row}": photo(f"{label}/{row}", content, side=100 * side)
        for row, (label, content, side) in enumerate(given)
    }
    alike = near(**pairs)
    found = duplicate_findings(photos.values(), alike, near_goes=near_goes)
    kinds = {"duplicate", "near_duplicate"} if near_goes else {"duplicate"}
    going = {item.path for item in found if item.kind in kinds}
    assert len({item.path for item in found}) == len(found)
    for item in found:
        if item.path not in going:
            continue
        gone, stays = photos[item.path], photos[item.other]
        assert item.other not in going
        assert stays.label == gone.label
        assert stays.order < gone.order
        both = (gone.digest, stays.digest)
        assert gone.digest == stays.digest or alike[both] == item.likeness
    # And nothing that could go stays.
    staying = [photo for name, photo in photos.items() if name not in going]
    for row, first in enumerate(staying):
        for second in staying[:row]:
            if first.label == second.label:
                assert first.digest != second.digest
                assert not near_goes or (first.digest, second.digest) not in alike

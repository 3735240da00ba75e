"""Patterns of `data.include` and `data.exclude`."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.data.path_patterns import compile_pattern, matches, select
from outliers_bench.errors import BenchError
from outliers_bench.types import LeftOut

NFD = unicodedata.normalize("NFD", "Löwe/1.jpg")


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.jpg", ["1.jpg", "a/1.JPG", "a/b/x.jpg"], ["1.jpeg", "a/1.jpg.txt", "a/jpg"]),
        ("*_mask.png", ["a/1_mask.png"], ["a/1.png"]),
        ("img_?.png", ["a/img_1.png"], ["a/img_12.png", "a/img_.png"]),
        ("old", ["old/1.jpg", "a/old/b/1.jpg", "OLD/1.jpg"], ["older/1.jpg", "a/b/old.jpg"]),
        ("old/", ["old/1.jpg", "a/old/a/1.jpg"], ["old", "a/old"]),
        ("a/*.jpg", ["a/1.jpg"], ["a/b/1.jpg", "b/a/1.jpg"]),
        ("a/**", ["a/1.jpg", "a/b/1.jpg"], ["b/a/1.jpg", "a"]),
        ("**/b/*", ["b/1.jpg", "a/b/1.jpg", "a/a/b/c/1.jpg"], ["a/bb/1.jpg"]),
        ("a/**/z.jpg", ["a/z.jpg", "a/b/c/z.jpg"], ["a/bz.jpg", "z.jpg"]),
        ("*/cat", ["train/cat/1.jpg", "test/cat/x/1.jpg"], ["cat/1.jpg", "a/train/cat/1.jpg"]),
        ("./a/b", ["a/b/1.jpg"], ["b/1.jpg"]),
        ("[ab]*", ["a1.jpg", "x/B2.jpg"], ["x/c.jpg"]),
        ("x[!0-4].jpg", ["x5.jpg"], ["x0.jpg"]),
        ("a[", ["a["], ["a"]),
        ("photos (1)/*.jpg", ["photos (1)/2.jpg"], ["photos 1/2.jpg"]),
        ("a.jpg", ["a.jpg"], ["axjpg"]),
        ("L\u00f6we", [NFD, "L\u00f6we/2.jpg"], ["Lowe/1.jpg"]),
        ("*", ["a/line\nbreak"], []),
    ],
)
def test_patterns(pattern, matching, others):
    compiled = compile_pattern(pattern)
    assert [name for name in matching if not matches(compiled, name)] == []
    assert [name for name in others if matches(compiled, name)] == []


@pytest.mark.parametrize("pattern", ["", "/", "/photos/*.jpg", "a//b"])
def test_patterns_of_no_path(pattern):
    with pytest.raises(BenchError, match=r"is no pattern of a path in data\.root; give one such"):
        compile_pattern(pattern)
    with pytest.raises(BenchError, match=r"'\[z-a\]' is no pattern of a path: bad character range"):
        compile_pattern("[z-a]")


names = st.lists(st.text("ab-]^\\[!", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)


@settings(deadline=None)
@given(names)
def test_escaped_names_match_themselves_only(name):
    """As with `glob.escape`: a bracket around each special character."""
    pattern = compile_pattern(re.sub(r"([*?\[])", r"[\1]", name))
    assert matches(pattern, name)
    assert not matches(pattern, f"x{name}y")
    assert matches(compile_pattern("*"), name)


LEFT_OUT = [
    LeftOut("a/notes.txt", "other", "not an image"),
    LeftOut("a/raw.nef", "unsupported", "camera raw is not supported"),
]


def test_selection():
    names = ["a/1.jpg", "a/1_mask.png", "b/2.jpg"]
    assert select(names, LEFT_OUT, include=[], exclude=[]) == (names, LEFT_OUT)
    remaining, left_out = select(names, LEFT_OUT, include=[], exclude=["*_mask.*", "*.nef"])
    assert remaining == ["a/1.jpg", "b/2.jpg"]
    assert [(item.name, item.kind, item.detail) for item in left_out] == [
        ("a/1_mask.png", "unselected", "matches data.exclude=*_mask.*"),
        ("a/notes.txt", "other", "not an image"),
        ("a/raw.nef", "unselected", "matches data.exclude=*.nef"),
    ]
    remaining, left_out = select(names, [], include=["a/", "c*", "2.jpg"][::2], exclude=["*.png"])
    assert remaining == ["a/1.jpg", "b/2.jpg"]
    remaining, left_out = select(names, [], include=["b/"], exclude=[])
    assert remaining == ["b/2.jpg"]
    assert {item.detail for item in left_out} == {"does not match data.include"}


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_pattern_that_matches_nothing_is_refused(option):
    patterns = {"include": [], "exclude": [], option: ["*.jpg", "*.gif"]}
    with pytest.raises(BenchError) as error:
        select(["a/1.jpg", "a/2.jpg"], LEFT_OUT, **patterns)
    assert str(error.value) == (
        f"data.{option}=*.gif matches none of the 4 files, such as a/1.jpg; patterns are compared "
        "with the path in data.root, and ** is any number of folders"
    )

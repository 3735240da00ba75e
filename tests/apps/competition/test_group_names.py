"""Names of groups: refused if they show nothing, and one group if they look equal."""

import pytest

from outliers_bench.apps.competition.group_names import group_key, normalize_group
from outliers_bench.web.refusal import RefusedError


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (7, "groupname must be a string"),
        ("  ", "groupname must have 1 to 64"),
        ("x" * 65, "groupname must have 1 to 64"),
        ("a\u202eb", "cannot be displayed"),
        ("\ud800", "cannot be displayed"),
        ("a\nb", "cannot be displayed"),
        ("a\u200bb", "cannot be displayed"),
        ("\u0301\u0301", "shows nothing"),
        ("\u3164", "shows nothing"),
        ("\u2800 \ufe0f\u115f", "shows nothing"),
        ("\u034f\ufe0f", "shows nothing"),
    ],
)
def test_a_name_that_cannot_be_shown_is_refused(name, reason) -> None:
    with pytest.raises(RefusedError, match=reason) as refused:
        normalize_group(name)
    assert refused.value.status == 422


def test_names_are_shown_as_given() -> None:
    assert normalize_group("  u\u0308ber   ALL ") == "\xfcber ALL"
    for name in ("\u7d44 1", "\u2764\ufe0f", "0", "na\u0304mi"):
        assert normalize_group(name)


@pytest.mark.parametrize(
    "name", ["OUTLIERS", "\uff2f\uff35\uff34liers", "out\ufe0fliers", "out\u115fliers"]
)
def test_names_that_look_equal_have_one_key(name) -> None:
    assert group_key(name) == group_key("outliers")
    assert group_key("stra\xdfe") == group_key("STRASSE")
    assert group_key("a b") != group_key("ab")

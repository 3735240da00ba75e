"""Spelling of labels, missing labels, and labels that look alike."""

import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES

from outliers_bench.data.labels import (
    MissingLabels,
    describe_look_alikes,
    is_missing,
    look_alikes,
    normalize,
)
from outliers_bench.data.table import Row, exclude_unlabeled
from outliers_bench.errors import BenchError
from outliers_bench.types import LeftOut

# Characters that the function is about are rare in arbitrary text.
TEXTS = st.text(
    st.one_of(
        st.sampled_from("aäÄ\u0308 \t\u00a0\u200b\u200d\ufeff\u2000\n\x00-_."), st.characters()
    )
)
ERROR, EXCLUDE, CLASS = MissingLabels.error, MissingLabels.exclude, MissingLabels["class"]


@pytest.mark.parametrize(
    "spelling",
    [
        "sea lion",
        " sea lion",
        "sea lion ",
        "sea  lion",
        "sea\tlion\r\n",
        "sea\u00a0lion",
        "\ufeffsea lion",
        "sea\u200b lion\u200b",
        "\u202asea lion\u202c",
        "sea li\u00adon",
        "sea\x00lion\x00",
        "sea\u3000lion\u200d",
    ],
)
def test_spellings_that_look_the_same_are_one_label(spelling):
    assert normalize(spelling) == "sea lion"


def test_accents_are_composed_and_nothing_else_changes():
    assert normalize(unicodedata.normalize("NFD", "Löwe Åse 각 σ́")) == "Löwe Åse 각 σ́"
    for label in (
        "Lion",
        "lion",
        "sea_lion",
        "007",
        "A♀",
        "\u0645\u06cc\u200c\u062e",
        "👩\u200d🚀",
        "NA",
    ):
        assert normalize(label) == label


@given(TEXTS)
def test_normalizing_is_idempotent_and_composed(text):
    label = normalize(text)
    assert normalize(label) == label
    assert unicodedata.is_normalized("NFC", label)
    assert label == " ".join(label.split())
    assert "\0" not in label


@given(TEXTS, st.sampled_from(["NFC", "NFD"]), st.sampled_from(["", " ", "\t", "\u00a0", "\u200b"]))
def test_form_and_blanks_make_no_difference(text, form, blank):
    spelled = f"{blank}{unicodedata.normalize(form, text)}{blank}"
    assert normalize(spelled) == normalize(text)


@given(TEXTS)
def test_labels_that_are_equal_to_people_look_alike(text):
    label = normalize(text)
    others = {label.upper(), label.replace(" ", "_")} - {label}
    for other in others:
        if normalize(other) == other and other.lower() == label.lower():
            assert look_alikes((label, other)) == [tuple(sorted((label, other)))]


@pytest.mark.parametrize(
    "label",
    [
        *(
            "",
            "NA",
            "na",
            "N/A",
            "n/a",
            "<NA>",
            "#N/A",
            "NaN",
            "nan",
            "NaT",
            "None",
            "null",
            "NULL",
        ),
        *(
            "unknown",
            "Unknown",
            "UNIDENTIFIED",
            "undetermined",
            "?",
            "???",
            "-",
            "--",
            "–",
            ".",
            "…",
        ),
        *("-1", "no id", "new_whale", "_"),
    ],
)
def test_missing_labels(label):
    assert is_missing(normalize(label))


@pytest.mark.parametrize("label", ["Nala", "Nanna", "0", "1", "empty", "none_1", "unknown-3", "a?"])
def test_labels_that_only_resemble_missing_ones(label):
    assert not is_missing(label)


def test_missing_values_as_pandas_and_its_writers_spell_them():
    for value in (None, float("nan"), pd.NA, pd.NaT):
        assert is_missing(normalize(str(value)))
    others = {text for text in STR_NA_VALUES if not is_missing(normalize(text))}
    assert others == {"#N/A N/A", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN"}  # of C and Bloomberg


def rows(*labels, part=""):
    return [Row(f"{part}{i}.jpg", label, part) for i, label in enumerate(labels)]


def test_missing_labels_are_refused_with_every_way_out():
    with pytest.raises(BenchError) as error:
        exclude_unlabeled(rows("a", "NA", "b", "?", "NA", "NA ", "a"), ERROR, name="zoo")
    assert str(error.value) == (
        "zoo: 4 of 7 images have no label: 3 'NA', 1 '?' (1.jpg, 3.jpg, 4.jpg, ...). Label them, "
        "or use data.missing_labels=exclude to exclude them, or data.missing_labels=class to take "
        "each spelling as a class; the default is data.missing_labels=error"
    )


def test_missing_labels_are_excluded_and_named():
    given = rows("a", "NA", "", "b")
    labeled, left_out = exclude_unlabeled(given, EXCLUDE, name="zoo")
    assert labeled == [given[0], given[3]]
    assert left_out == [
        LeftOut("1.jpg", "unlabeled", "label 'NA'"),
        LeftOut("2.jpg", "unlabeled", "no label"),
    ]


def test_missing_labels_are_classes_on_request_unless_they_are_empty():
    given = rows("a", "NA", "None")
    assert exclude_unlabeled(given, CLASS, name="zoo") == (given, [])
    with pytest.raises(BenchError, match=r"1 of 2 images have no label: 1 empty .*except an empty"):
        exclude_unlabeled(rows("a", " "), CLASS, name="zoo")


@pytest.mark.parametrize("option", [ERROR, EXCLUDE])
def test_queries_and_gallery_without_any_label_are_ranked(option):
    train = rows("a", "b", part="train")
    ranked = [*rows("", "NA", part="query"), *rows("?", part="gallery")]
    labeled, left_out = exclude_unlabeled([*train, *ranked], option, name="zoo")
    assert [row.label for row in labeled] == ["a", "b", None, None, None]
    assert left_out == []
    with pytest.raises(BenchError, match="2 of 5 images have no label"):
        exclude_unlabeled(
            [*train, *rows("", "NA", part="query"), *rows("a", part="gallery")], ERROR, name="zoo"
        )


def test_groups_are_normalized_and_a_missing_group_is_none():
    names = ["burst 1", " burst 1", "burst\u00a01", "NA", "", None]
    assert [Row("x", "a", group=name).group for name in names] == ["burst 1"] * 3 + [None] * 3


def test_look_alikes():
    assert look_alikes(("lion", "tiger", "lion 1", "lion1", "A♀", "A♂", "Löwe", "Lowe")) == []
    pairs = [
        ("Straße", "STRASSE"),
        ("sea-lion", "sea lion"),
        ("Anna's", "Anna’s"),
        ("\uff11\uff12", "12"),
    ]
    for pair in (*pairs, ("1", "1.0"), ("01", "1"), ("lion.", "lion"), ("\ufb01n", "fin")):
        assert look_alikes(("other", *pair)) == [tuple(sorted(pair))]


def test_only_the_first_look_alikes_are_described():
    labels = tuple(f"{word} {n}" for n in range(5) for word in ("lion", "Lion"))
    assert describe_look_alikes(labels) == (
        "'Lion 0' and 'lion 0'; 'Lion 1' and 'lion 1'; 'Lion 2' and 'lion 2'; and 2 more are "
        "different classes; rename them if they are one"
    )
    assert describe_look_alikes(("a", "b")) == ""

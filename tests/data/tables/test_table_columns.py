"""Names of columns and parts as the field has them."""

import pandas as pd
import pytest

from outliers_bench.data.manifest import Manifest
from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.tables.columns import Columns, find_columns
from outliers_bench.errors import BenchError
from outliers_bench.types import ITSELF, same
from tests.data.sources import fails, load, manifest


@pytest.mark.parametrize(
    ("names", "path", "label"),
    [
        ("path label", "path", "label"),
        ("Path LABEL", "Path", "LABEL"),
        ("image_path individual_id", "image_path", "individual_id"),
        ("File-Name Individual", "File-Name", "Individual"),
        ("filepath name", "filepath", "name"),
        ("filename species date", "filename", "species"),
        ("image Id", "image", "Id"),  # of Kaggle's humpback whales
        ("id file category", "file", "category"),
        ("image_id identity path date species bbox", "path", "identity"),  # wildlife-datasets
        ("image_id path label species identity", "path", "label"),
        ("SourceFile Animal-ID url", "SourceFile", "Animal-ID"),
        ("path class label", "path", "label"),
        ("Path path label", "path", "label"),
    ],
)
def test_recognized(names, path, label):
    found = find_columns(names.split(), Columns(), "t.csv")
    assert (found["path"], found["label"]) == (path, label)


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (
            "path identity species",
            {},
            "label may be the column identity or species; say which: data",
        ),
        (
            "filename filepath label",
            {},
            r"path may be the column filename or filepath.*data\.columns\.",
        ),
        ("path tier", {}, "has no column label; it has path, tier.*columns.label=<column>"),
        ("a b", {}, "has no column path and no column label"),
        ("url label", {}, "no column path but url: download .*outliers_bench.collect urls=t.csv"),
        (
            "path label",
            {"label": "lable"},
            "data.columns.label=lable: did you mean label.* path, label",
        ),
        ("path label", {"split": "x"}, "data.columns.split=x: t.csv has the columns path, label"),
    ],
)
def test_unclear_names_are_refused(names, given, message):
    with pytest.raises(BenchError, match=message):
        find_columns(names.split(), Columns(**given), "t.csv")


def test_given_columns_win():
    found = find_columns(
        ["path", "label", "species", "set", "encounter"],
        Columns(label="Species", group="encounter", split="none"),
        "t.csv",
    )
    assert found == {"path": "path", "label": "species", "group": "encounter"}
    decomposed = find_columns(["path", "espe\u0300ce"], Columns(label="esp\u00e8ce"), "t.csv")
    assert decomposed["label"] == "espe\u0300ce"


def test_recognized_columns_are_reported(table, photos, tmp_path, caplog):
    expected = load(manifest(table, photos), tmp_path)
    assert not caplog.text
    renamed = table.rename(columns={"path": "image_path", "label": "individual"})
    split = load(manifest(renamed, photos), tmp_path)
    assert split.fingerprint == expected.fingerprint
    assert "path is the column image_path, label is the column individual" in caplog.text


def test_the_columns_that_are_not_used_come_along(table, photos, tmp_path):
    table = table.assign(
        other_label="x", individual=table["path"].str[10:24], encounter=table["path"].str[:24]
    )
    source = manifest(table, photos, columns=Columns(label="individual", group="encounter"))
    split = load(source, tmp_path)
    assert split.gallery.classes == ("individual_000", "individual_001")
    columns = split.gallery.columns
    assert set(columns) == {"other_label", "other_other_label", "group", "encounter"}
    assert columns["encounter"].tolist() == columns["group"].tolist()
    both = load(manifest(table, photos, columns=Columns(group="path")), tmp_path)
    assert both.gallery.groups == both.gallery.names
    alone = manifest(
        table.assign(group="g"),
        photos,
        columns=Columns(group="none"),
        protocol=Protocol.leave_one_out,
    )
    assert load(alone, tmp_path).gallery.groups is None


def test_names_of_other_columns_change_nothing(table, photos, tmp_path):
    plain = load(manifest(table, photos, protocol=Protocol.leave_one_out), tmp_path)
    # The column of crops, which decides what is excluded.
    table = table.assign(cropped_from="north", is_train=True, is_test=0, subset="train", note="a")
    table = pd.concat([table, table[["note"]].replace("a", "b")], axis=1)
    split = load(manifest(table, photos, protocol=Protocol.leave_one_out), tmp_path)
    assert split.fingerprint == plain.fingerprint
    assert split.excluded == ITSELF
    columns = {name: values[0] for name, values in split.gallery.columns.items()}
    assert columns["other_cropped_from"] == "north"
    assert (columns["note"], columns["note.1"]) == ("a", "b")


@pytest.mark.parametrize(
    "words",
    [
        ("Train", "Query", "Gallery"),
        ("training", "probe", "reference"),
        ("TRAIN ", "queries", "database"),
    ],
)
@pytest.mark.parametrize("column", ["split", "Subset", "set"])
def test_words_for_parts(words, column, table, photos, tmp_path):
    pattern = ["train", "train", "query", "gallery", "gallery"]
    expected = load(manifest(table.assign(split=pattern * 6), photos), tmp_path)
    word = dict(zip(["train", "query", "gallery"], words, strict=True))
    named = table.assign(**{column: [word[part] for part in pattern] * 6})
    assert load(manifest(named, photos), tmp_path).fingerprint == expected.fingerprint


@pytest.mark.parametrize("test", ["test", "val", "Validation"])
def test_test_images_next_to_train_are_split(test, table, photos, tmp_path, caplog):
    table["split"] = ["train", "train", test, test, test] * 6
    split = load(manifest(table, photos), tmp_path)
    assert set(split.train.names) == set(table["path"][table["split"] == "train"])
    # 6 test images of each class, half of them queries.
    assert (len(split.query), len(split.gallery)) == (9, 9)
    assert "the images that are not train are split into query and gallery" in caplog.text
    alone = table[table["split"] == test].drop(columns="split")
    expected = load(manifest(alone, photos, train=0.0), tmp_path)
    assert set(split.query.digests) == set(expected.query.digests)
    flag = table.drop(columns="split").assign(is_train=table["split"] == "train")
    assert load(manifest(flag, photos), tmp_path).fingerprint == split.fingerprint
    given = manifest(flag, photos, columns=Columns(split="is_train"))
    assert load(given, tmp_path).fingerprint == split.fingerprint
    fails(manifest(flag.replace({"is_train": {True: None}}), photos), tmp_path, "in row 2 it is ''")


def test_unclear_parts_are_refused(table, photos, tmp_path):
    for parts, message in (
        (
            ["train", "val", "test", "test", "test"],
            "split has test, validation, train, which does not say",
        ),
        (["test", "query", "gallery", "train", "train"], "has query, gallery, test, train, which"),
        (["train", "query", "gallery", "old", "train"], "in row 5 it is 'old'"),
        (["train", "query", "gallery", "", "train"], "in row 5 it is ''"),
        (["train"] * 5, "split has only train; let .* with data.columns.split=none"),
    ):
        fails(manifest(table.assign(split=parts * 6), photos), tmp_path, message)
    # A column of another meaning is not one of parts, and can be ignored if it is.
    table["set"] = ["a", "b", "c", "d", "e"] * 6
    assert "set" in load(manifest(table, photos), tmp_path).gallery.columns
    table["set"] = ["train", "val", "test", "d", "e"] * 6
    split = load(manifest(table, photos, columns=Columns(split="none")), tmp_path)
    assert "set" in split.gallery.columns


def oml(table, query, gallery):
    """Return the table as open-metric-learning writes it: flags only of validation images."""
    train = table.index % 5 < 2
    return table.assign(
        split=["train" if each else "validation" for each in train],
        is_query=[None if t else bool(q) for t, q in zip(train, query, strict=True)],
        is_gallery=[None if t else bool(g) for t, g in zip(train, gallery, strict=True)],
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_flags_of_open_metric_learning(suffix, table, photos, tmp_path, caplog):
    query = [row % 5 == 2 for row in range(30)]
    gallery = [row % 5 > 2 for row in range(30)]
    split = load(manifest(oml(table, query, gallery), photos, suffix), tmp_path)
    words = table.assign(split=["train", "train", "query", "gallery", "gallery"] * 6)
    assert split.fingerprint == load(manifest(words, photos), tmp_path).fingerprint

    split = load(manifest(oml(table, [True] * 30, [True] * 30), photos, suffix), tmp_path)
    assert split.query is split.gallery
    assert split.excluded == ITSELF
    assert (len(split.train), len(split.gallery)) == (12, 18)
    assert "split is the columns is_query and is_gallery" in caplog.text

    # The images of a sequence are excluded from the rankings of each other.
    sequences = [f"{row // 5} {min(row % 5, 3)}" for row in range(30)]
    pairs = oml(table, [True] * 30, [True] * 30).assign(group=sequences)
    split = load(manifest(pairs, photos, suffix), tmp_path)
    assert split.excluded == same("group")
    assert sorted(split.exclusion.counts.tolist()) == [1] * 6 + [2] * 12

    # The parts are used if they are clear.
    contradiction = words.assign(is_query=gallery, is_gallery=query)
    expected = load(manifest(words, photos), tmp_path)
    assert (
        load(manifest(contradiction, photos, suffix), tmp_path).fingerprint == expected.fingerprint
    )
    one = manifest(table.assign(is_query=query), photos, suffix)
    fails(one, tmp_path, "the column is_query, and not both is_query and is_gallery; add the other")

    partly = manifest(oml(table, query, [True] * 30), photos, suffix)
    fails(partly, tmp_path, "6 images are both is_query and is_gallery, and 12 are only one")
    neither = manifest(oml(table, query, [False] * 30), photos, suffix)
    fails(neither, tmp_path, r"row [54] is neither train, nor is_query, nor is_gallery")
    wrong = manifest(oml(table, query, gallery).assign(is_query="maybe"), photos)
    fails(wrong, tmp_path, "row 4 it is 'maybe'")
    whole = manifest(
        oml(table, query, gallery),
        photos,
        columns=Columns(split="none"),
        protocol=Protocol.leave_one_out,
    )
    assert len(load(whole, tmp_path).gallery) == 30


def test_data_frames_are_recognized_too(table, photos, tmp_path):
    from outliers_bench.data.in_memory import InMemory

    frame = table.rename(columns={"path": "file", "label": 0}).rename(columns={0: "Identity"})
    source = InMemory.of(frame, Manifest(root=str(photos)))
    assert load(source, tmp_path).fingerprint == load(manifest(table, photos), tmp_path).fingerprint
    lists = frame.assign(Identity=[["lion", "adult"]] * 30)
    fails(
        InMemory.of(lists, Manifest(root=str(photos))), tmp_path, "row 1: label is a list, .'lion'"
    )
    frame.loc[2, "file"] = None
    fails(InMemory.of(frame, Manifest(root=str(photos))), tmp_path, "row 3 has no path")
    indexed = table.set_index("path")
    source = InMemory.of(indexed, Manifest(root=str(photos)))
    assert load(source, tmp_path).fingerprint == load(manifest(table, photos), tmp_path).fingerprint

"""Labels of public bug reports, and vectors of images of which some have no label."""

import numpy as np
import pandas as pd
import pytest

import outliers_bench as ob

RNG = np.random.default_rng(0)


@pytest.fixture
def score(tmp_path):
    """Run leave-one-out with raw pixels, or with the given embeddings."""

    def score(data, missing_labels="error", **arguments):
        options = {"cache.dir": str(tmp_path / "cache"), "data.missing_labels": missing_labels}
        options |= arguments.pop("options", {})
        arguments.setdefault("model", "pixels")
        return ob.run(data, protocol="leave_one_out", k=[1], options=options, **arguments)

    return score


def test_class_folders_of_two_systems(shared, score):
    result = score(shared / "cases" / "label-nfc-nfd-folder" / "data")
    assert result.metrics["hit_at_1"] == 1
    assert result.evaluation.frame("class")["queries"].to_dict() == dict.fromkeys(
        ["Löwe", "c1", "c2", "c3"], 12
    )


def test_blanks_behind_labels(shared, score):
    result = score(shared / "cases" / "label-trailing-blank" / "data" / "t.csv")
    assert result.metrics["hit_at_1"] == 1
    assert result.evaluation.frame("class")["queries"].to_dict() == dict.fromkeys(
        ["bear", "lion", "tiger", "wolf"], 6
    )


def test_missing_values_of_r(shared, score):
    table = shared / "cases" / "label-NA-from-R" / "data" / "t.csv"
    with pytest.raises(ob.BenchError, match=r"6 of 18 images have no label: 6 'NA'"):
        score(table)
    result = score(table, "exclude")
    assert (result.metrics["queries"], result.metrics["images_unlabeled"]) == (12, 6)
    known = pd.read_csv(table).dropna()  # pandas' own list of missing values
    known["path"] = [str(table.parent / path) for path in known["path"]]
    assert result.evaluation.metrics == score(known).evaluation.metrics
    assert score(table, "class").metrics["hit_at_1"] == pytest.approx(11 / 18), "as seen there"


def test_embeddings_are_those_of_the_remaining_images(score, tmp_path):
    labels = ["a", "NA", "b", "a", "", "b"]
    vectors = np.float32([[1, 0], [0, 1], [0, 1], [1, 0.1], [1, 0], [0.1, 1]])
    result = score(vectors, "exclude", labels=labels, model=None)
    assert result.metrics["hit_at_1"] == 1
    assert result.split.gallery.names == ("0", "2", "3", "5")

    images = RNG.integers(0, 256, (6, 9, 9, 3), np.uint8)
    result = score(images, "exclude", labels=labels)
    for row, number in enumerate((0, 2, 3, 5)):
        assert np.array_equal(result.split.gallery.read(row), images[number])


def test_rows_of_a_vector_file_include_images_without_a_label(shared, score, tmp_path):
    table = shared / "cases" / "label-NA-from-R" / "data" / "t.csv"
    labels = pd.read_csv(table)["label"]
    names = sorted(labels.dropna().unique())
    one_hot = np.eye(len(names), dtype=np.float32)
    known = [0 if pd.isna(label) else names.index(label) for label in labels]
    np.save(tmp_path / "vectors.npy", one_hot[known])
    file = {"model.file": str(tmp_path / "vectors.npy")}
    assert score(table, "exclude", model="embeddings", options=file).metrics["hit_at_1"] == 1


def test_a_warning_names_labels_that_look_alike(score, caplog, capsys):
    images = RNG.integers(0, 256, (6, 9, 9, 3), np.uint8)
    result = score(images, labels=["Lion", "lion"] * 3)
    line = "'Lion' and 'lion' are different classes; rename them if they are one"
    assert caplog.messages == [f"images: {line}"]
    assert f"spelling     {line}" in str(result).splitlines()
    assert repr(result.split) == "<Split images: 6 queries, 6 gallery images>"


def test_fingerprints_of_earlier_versions(tmp_path):
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1) * np.ones((9, 9, 3), np.uint8)
    cache = {"cache.dir": str(tmp_path)}
    split = ob.load_split(images, labels=["Löwe", "sea_lion 1"] * 10, options=cache)
    assert split.fingerprint == "c5ae31c417e157341c6121ba9cd07441"

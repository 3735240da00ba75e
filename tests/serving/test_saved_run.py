"""What a run leaves for searches: read as it was written, bounded, never in the way."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.serving import saved_run as cards
from outliers_bench.serving.saved_run import FOLDER, SavedRun, find_saved_run
from tests.toys import image_set

HERE = "sqlite:////somewhere/mlflow.db"
CLASSES = ("x", "y")


def card_of(run_id="a" * 32, *, train=(), gallery=("x/1.jpg", "x/2.jpg"), finished=1.0, uri=HERE):
    return SavedRun(
        run_id=run_id,
        name="pixels 32px",
        uri=uri,
        data="toy",
        finished=finished,
        folder="/somewhere",
        config={"pca": {"n": None}, "k": [1, 5]},
        fetched={},
        root="/photos",
        train=image_set(train, [1] * len(train), CLASSES),
        gallery=image_set(gallery, [i % 2 for i in range(len(gallery))], CLASSES),
    )


def same(one, other):
    for part in ("train", "gallery"):
        ours, theirs = getattr(one, part), getattr(other, part)
        assert ours.names == theirs.names
        assert ours.digests == theirs.digests
        assert ours.classes == theirs.classes
        assert ours.groups == theirs.groups
        assert (ours.labels is None) == (theirs.labels is None)
        if ours.labels is not None:
            assert np.array_equal(ours.labels, theirs.labels)
            assert ours.labels.dtype == theirs.labels.dtype
    beside = {"train", "gallery"}
    assert {k: v for k, v in vars(one).items() if k not in beside} == {
        k: v for k, v in vars(other).items() if k not in beside
    }


NAMES = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    min_size=1,
    max_size=5,
    unique=True,
)


@settings(max_examples=10)
@given(train=st.one_of(st.just([]), NAMES), gallery=NAMES)
def test_is_read_as_it_was_written(tmp_path_factory, train, gallery):
    cache = tmp_path_factory.mktemp("cache")
    card = card_of(train=train, gallery=gallery)
    card.save(cache)
    same(find_saved_run(cache, "a" * 32, uri=HERE), card)


def test_without_labels_and_with_groups(tmp_path):
    card = card_of()
    gallery = replace(card.gallery, labels=None, groups=("one", "two"))
    card = replace(card, gallery=gallery, root=None)
    card.save(tmp_path)
    same(find_saved_run(tmp_path, "aaaa", uri=HERE), card)


def test_a_beginning_of_the_id_will_do_if_it_is_the_only_one(tmp_path):
    for run_id in ("abcd" + "0" * 28, "abce" + "0" * 28, "f" * 32):
        card_of(run_id).save(tmp_path)
    assert find_saved_run(tmp_path, "abcd", uri=HERE).run_id == "abcd" + "0" * 28
    assert find_saved_run(tmp_path, "ffff", uri="another").run_id == "f" * 32
    for nothing in ("abc", "", "0000", "ff*", "../f", "abcd0" + "1" * 27):
        assert find_saved_run(tmp_path, nothing, uri=HERE) is None
    card_of("abcd" + "1" * 28).save(tmp_path)
    assert find_saved_run(tmp_path, "abcd", uri=HERE) is None  # of two MLflow is to tell


def test_the_last_is_the_one_that_ended_last_in_that_store(tmp_path):
    assert find_saved_run(tmp_path, "last", uri=HERE) is None
    for run_id, finished, uri in (
        ("1" * 32, 30.0, HERE),
        ("2" * 32, 20.0, HERE),
        ("3" * 32, 40.0, "http://elsewhere"),
        ("4" * 32, 0.0, "http://old"),  # found in MLflow: nobody noted when it ended
    ):
        card_of(run_id, finished=finished, uri=uri).save(tmp_path)
    assert find_saved_run(tmp_path, "last", uri=HERE).run_id == "1" * 32
    assert find_saved_run(tmp_path, "last", uri="http://elsewhere").run_id == "3" * 32
    assert find_saved_run(tmp_path, "last", uri="http://old") is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"finished": 1.0}', None])
def test_a_damaged_card_is_as_good_as_none(tmp_path, damage):
    card_of().save(tmp_path)
    (path,) = (tmp_path / FOLDER).glob("*.json")
    if damage is None:
        said = json.loads(path.read_text())
        del said["root"]
        damage = json.dumps(said).encode()
    path.write_bytes(damage)
    assert find_saved_run(tmp_path, "aaaa", uri=HERE) is None
    assert find_saved_run(tmp_path, "last", uri=HERE) is None


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_damaged_photos_are_as_good_as_none(tmp_path, damage):
    card_of().save(tmp_path)
    (path,) = (tmp_path / FOLDER / "photos").glob("*.npz")
    path.unlink() if damage is None else path.write_bytes(damage)
    assert find_saved_run(tmp_path, "aaaa", uri=HERE) is None


def test_runs_on_the_same_photos_keep_them_once(tmp_path):
    for run_id in ("1" * 32, "2" * 32):
        card_of(run_id).save(tmp_path)
    assert len(list((tmp_path / FOLDER).glob("*.json"))) == 2
    assert len(list((tmp_path / FOLDER / "photos").glob("*"))) == 1


def test_the_oldest_go_when_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "MAX_SAVED_RUNS", 5)
    monkeypatch.setattr(cards, "_EXTRA_REMOVED", 1)
    folder = tmp_path / FOLDER
    for i in range(5):
        card_of(f"{i}" * 32, gallery=(f"{i // 2}.jpg",)).save(tmp_path)
        (path,) = folder.glob(f"{i}*.json")
        os.utime(path, (i, i))
    for path in (folder / "photos").iterdir():
        os.utime(path, (0, 0))
    card_of("5" * 32, gallery=("2.jpg",)).save(tmp_path)
    left = {path.name[0] for path in folder.glob("*.json")}
    assert left == {"2", "3", "4", "5"}
    assert len(list((folder / "photos").iterdir())) == 2  # of 0 and 1, nobody wants them any more
    assert find_saved_run(tmp_path, "2222", uri=HERE).gallery.names == ("1.jpg",)


@pytest.mark.parametrize("name", ["x/1.jpg", "\ud800.jpg"])  # the second cannot be encoded
def test_where_it_cannot_be_written_the_run_goes_on(tmp_path, caplog, name):
    if name.isascii():
        (tmp_path / FOLDER).write_text("in the way")
    card = card_of(gallery=("x/1.jpg",))
    replace(card, gallery=replace(card.gallery, names=(name,))).save(tmp_path)
    assert "searches go by MLflow" in caplog.text
    assert find_saved_run(tmp_path, "aaaa", uri=HERE) is None

"""Saved runs in the cache: round trip, lookup, damage and cleanup."""

import json
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.errors import BenchError
from outliers_bench.result import RunHandle
from outliers_bench.serving import saved_run as saved_run_module
from outliers_bench.serving.saved_run import FOLDER, SavedRun, find_saved_run
from outliers_bench.tracking.outbox import FOLDER as OUTBOX
from outliers_bench.tracking.outbox import Box, Start
from outliers_bench.tracking.records import leave_receipt, name_of
from outliers_bench.tracking.runs import end_run
from outliers_bench.tracking.store import experiment_id, open_client
from tests.toys import image_set

HERE = "sqlite:////somewhere/mlflow.db"
CLASSES = ("x", "y")


def create_saved_run(
    run_id="a" * 32, *, train=(), gallery=("x/1.jpg", "x/2.jpg"), finished=1.0, uri=HERE
):
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


def assert_equal(first, second):
    parts = ("train", "gallery")
    for part in parts:
        one, other = getattr(first, part), getattr(second, part)
        assert one.names == other.names
        assert one.digests == other.digests
        assert one.classes == other.classes
        assert one.columns.keys() == other.columns.keys()
        for name, values in one.columns.items():
            np.testing.assert_array_equal(values, other.columns[name])
            assert values.dtype == other.columns[name].dtype
        assert (one.labels is None) == (other.labels is None)
        if one.labels is not None:
            assert np.array_equal(one.labels, other.labels)
            assert one.labels.dtype == other.labels.dtype
    assert {k: v for k, v in vars(first).items() if k not in parts} == {
        k: v for k, v in vars(second).items() if k not in parts
    }


NAMES = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    min_size=1,
    max_size=5,
    unique=True,
)


@settings(max_examples=10)
@given(train=st.one_of(st.just([]), NAMES), gallery=NAMES)
def test_round_trip(tmp_path_factory, train, gallery):
    cache = tmp_path_factory.mktemp("cache")
    saved = create_saved_run(train=train, gallery=gallery)
    saved.save(cache)
    assert_equal(find_saved_run(cache, "a" * 32, uri=HERE), saved)


def test_round_trip_without_labels_and_with_columns(tmp_path):
    saved = create_saved_run()
    columns = {
        "group": np.array(["one", "two"], dtype=object),
        "camera": np.array(["north", ""], dtype=object),
        "weight": np.array([3.5, np.nan]),
        "time": np.array(["2024-05-01T12:00", "NaT"], dtype="datetime64[ns]"),
        "box": np.array([[0, 0, 5, 5], [1, 2, 3, 4]]),
    }
    gallery = replace(saved.gallery, labels=None, columns=columns)
    saved = replace(saved, gallery=gallery, root=None)
    saved.save(tmp_path)
    assert_equal(find_saved_run(tmp_path, "aaaa", uri=HERE), saved)


def test_a_damaged_number_in_the_config_makes_the_run_absent(tmp_path):
    replace(create_saved_run(), config={"pca": {"n": 50}}).save(tmp_path)
    assert find_saved_run(tmp_path, "aaaa", uri=HERE).config == {"pca": {"n": 50}}
    (card,) = (tmp_path / FOLDER).glob("*.json")
    card.write_text(card.read_text().replace('"n": 50', '"n": 40'))
    assert find_saved_run(tmp_path, "aaaa", uri=HERE) is None


def test_unique_prefix_of_the_id_is_accepted(tmp_path):
    for run_id in ("abcd" + "0" * 28, "abce" + "0" * 28, "f" * 32):
        create_saved_run(run_id).save(tmp_path)
    assert find_saved_run(tmp_path, "abcd", uri=HERE).run_id == "abcd" + "0" * 28
    assert find_saved_run(tmp_path, "ffff", uri="another").run_id == "f" * 32
    for run in ("abc", "", "0000", "ff*", "../f", "abcd0" + "1" * 27):
        assert find_saved_run(tmp_path, run, uri=HERE) is None
    create_saved_run("abcd" + "1" * 28).save(tmp_path)
    assert find_saved_run(tmp_path, "abcd", uri=HERE) is None  # ambiguous: MLflow decides


def test_last_is_the_run_that_finished_last_in_that_store(tmp_path):
    assert find_saved_run(tmp_path, "last", uri=HERE) is None
    for run_id, finished, uri in (
        ("1" * 32, 30.0, HERE),
        ("2" * 32, 20.0, HERE),
        ("3" * 32, 40.0, "http://elsewhere"),
        ("4" * 32, 0.0, "http://old"),  # restored from MLflow: the end time is unknown
    ):
        create_saved_run(run_id, finished=finished, uri=uri).save(tmp_path)
    assert find_saved_run(tmp_path, "last", uri=HERE).run_id == "1" * 32
    assert find_saved_run(tmp_path, "last", uri="http://elsewhere").run_id == "3" * 32
    assert find_saved_run(tmp_path, "last", uri="http://old") is None


def test_a_deleted_run_is_not_found(fresh_uri, tmp_path):
    client = open_client(fresh_uri)
    experiment = experiment_id(client, "toy")
    ids = [client.create_run(experiment).info.run_id for _ in range(2)]
    for finished, run_id in enumerate(ids, 1):
        create_saved_run(run_id, finished=float(finished), uri=fresh_uri).save(tmp_path)
    client.delete_run(ids[1])
    assert find_saved_run(tmp_path, "last", uri=fresh_uri).run_id == ids[0]
    with pytest.raises(BenchError, match=f"run={ids[1]}: pixels 32px was deleted in MLflow"):
        find_saved_run(tmp_path, ids[1], uri=fresh_uri)
    client.delete_run(ids[0])
    assert find_saved_run(tmp_path, "last", uri=fresh_uri) is None
    client.restore_run(ids[0])
    assert find_saved_run(tmp_path, "last", uri=fresh_uri).run_id == ids[0]


def test_a_run_of_a_moved_or_copied_project_is_that_of_the_new_place(fresh_uri, tmp_path):
    client = open_client(fresh_uri)
    run_id, later = (client.create_run(experiment_id(client, "toy")).info.run_id for _ in range(2))
    place = Path(fresh_uri.removeprefix("sqlite:///")).parent
    (place / "photos").mkdir()
    old = "sqlite:////the/original/mlflow.db"
    original = replace(
        create_saved_run(run_id, uri=old), folder="/the/original", root="/the/original/photos"
    )
    original.save(tmp_path)
    expected = str(place), str(place / "photos"), fresh_uri
    for run in (run_id, run_id[:8], "last"):
        found = find_saved_run(tmp_path, run, uri=fresh_uri)
        assert (found.folder, found.root, found.uri) == expected
    # Saved in both places, each has its own; photos elsewhere stay there.
    newer = replace(original, run_id=later, finished=2.0)
    replace(newer, root="/disk/photos").save(tmp_path)
    assert find_saved_run(tmp_path, "last", uri=fresh_uri).root == "/disk/photos"
    receipt(tmp_path, "t" + "0" * 22, run_id)
    replace(original, run_id="t" + "0" * 22, uri=fresh_uri).save(tmp_path)
    assert find_saved_run(tmp_path, run_id, uri=fresh_uri).root == original.root
    assert find_saved_run(tmp_path, run_id, uri=old).uri == old
    client.delete_run(run_id)
    assert find_saved_run(tmp_path, run_id, uri=old).uri == old


def receipt(cache, key, run_id):
    (cache / OUTBOX).mkdir()
    handle = RunHandle(uri=HERE, run_id=run_id, experiment_id="1", name="", artifact_uri="")
    leave_receipt(cache / OUTBOX, key, handle, status="FINISHED", parent=None, before=key)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"finished": 1.0}', None])
def test_damaged_metadata_is_treated_as_missing(tmp_path, damage):
    create_saved_run().save(tmp_path)
    (path,) = (tmp_path / FOLDER).glob("*.json")
    if damage is None:
        metadata = json.loads(path.read_text())
        del metadata["root"]
        damage = json.dumps(metadata).encode()
    path.write_bytes(damage)
    assert find_saved_run(tmp_path, "aaaa", uri=HERE) is None
    assert find_saved_run(tmp_path, "last", uri=HERE) is None


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_damaged_list_of_photos_is_treated_as_missing(tmp_path, damage):
    create_saved_run().save(tmp_path)
    (path,) = (tmp_path / FOLDER / "photos").glob("*.npz")
    path.unlink() if damage is None else path.write_bytes(damage)
    assert find_saved_run(tmp_path, "aaaa", uri=HERE) is None


def test_runs_on_the_same_photos_share_their_list(tmp_path):
    for run_id in ("1" * 32, "2" * 32):
        create_saved_run(run_id).save(tmp_path)
    assert len(list((tmp_path / FOLDER).glob("*.json"))) == 2
    assert len(list((tmp_path / FOLDER / "photos").glob("*"))) == 1


def test_oldest_runs_are_removed_if_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_run_module, "MAX_SAVED_RUNS", 2)
    folder = tmp_path / FOLDER
    for i, photo in enumerate(("a.jpg", "b.jpg", "c.jpg", "a.jpg")):
        create_saved_run(f"{i}" * 32, gallery=(photo,)).save(tmp_path)
        (card,) = folder.glob(f"{i}*.json")
        for path in (card, folder / "photos" / f"{card.stem.rpartition('-')[2]}.npz"):
            os.utime(path, (i, i))
    assert {path.name[0] for path in folder.glob("*.json")} == {"2", "3"}
    assert find_saved_run(tmp_path, "2222", uri=HERE).gallery.names == ("c.jpg",)
    assert find_saved_run(tmp_path, "3333", uri=HERE).gallery.names == ("a.jpg",)
    assert len(list((folder / "photos").iterdir())) == 2


def test_a_list_of_photos_may_belong_to_another_user(tmp_path, monkeypatch):
    create_saved_run("1" * 32).save(tmp_path)
    for name in ("utime", "open"):
        monkeypatch.setattr(os, name, Mock(side_effect=PermissionError))
    create_saved_run("2" * 32).save(tmp_path)
    assert find_saved_run(tmp_path, "2222", uri=HERE) is not None


@pytest.mark.parametrize("name", ["x/1.jpg", "\ud800.jpg"])  # the second cannot be encoded
def test_failure_to_write_is_a_warning(tmp_path, caplog, name):
    if name.isascii():
        (tmp_path / FOLDER).write_text("in the way")
    saved = create_saved_run(gallery=("x/1.jpg",))
    replace(saved, gallery=replace(saved.gallery, names=(name,))).save(tmp_path)
    assert "searches will use MLflow" in caplog.text
    assert find_saved_run(tmp_path, "aaaa", uri=HERE) is None


def test_a_run_is_found_by_its_key_and_once_it_is_delivered_by_its_id(tmp_path):
    lost = {"call": name_of(end_run), "arguments": {}}
    start = Start("http://a:b@here", "toy", "a run", {}, None, lost)
    box = Box.create(tmp_path / OUTBOX, start)
    create_saved_run(box.key, uri="http://here").save(tmp_path)
    for run in ("last", box.key, box.key[:10]):
        assert find_saved_run(tmp_path, run, uri="http://a:b@here").run_id == box.key
    assert find_saved_run(tmp_path, "abcd", uri="http://here") is None
    run = RunHandle("http://a:b@here", "abcd" * 8, "1", "a run", "mlflow-artifacts:/1")
    box.note_run(run)
    assert find_saved_run(tmp_path, "abcd", uri="http://here").run_id == run.run_id
    box.finish(run, "FINISHED")
    for name in ("last", run.run_id, "abcda", box.key):
        assert find_saved_run(tmp_path, name, uri="http://here").run_id == run.run_id

"""Manifests: a kill loses at most the last row, and changes by the user are detected."""

import errno
import os
from pathlib import Path

import pytest

from outliers_bench.apps.collect.collection import open_collection
from outliers_bench.apps.collect.failures import ALREADY_COLLECTED, COLLECTED
from outliers_bench.apps.collect.image_check import check_image
from outliers_bench.apps.collect.manifest import Manifest, Row
from outliers_bench.apps.collect.url_list import ListedImage
from outliers_bench.errors import BenchError
from tests.apps.collect.web import encoded_photo, list_images

LION = ListedImage("http://a/lion", "lion", "CC0")
TIGER = ListedImage("http://a/tiger", "tiger")


def add(collection, image, seed) -> None:
    data = encoded_photo(seed)
    checked = check_image(data, min_side=1, max_pixels=10**6)
    collection.add(image, checked, data, final_url=image.url)


def test_an_incomplete_last_row_is_ignored(tmp_path) -> None:
    path = tmp_path / "t.csv"
    table = Manifest(path)
    table.add(Row(url="http://a", label='sea "lion", old', reason="two\nlines"))
    table.add(Row(url="http://b", label="虎"))
    rows = table.rows
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    assert len(ends) == 3
    for size in {*range(0, len(whole), 5), *ends, *(end - 1 for end in ends), len(whole)}:
        path.write_bytes(whole[:size])
        read = Manifest(path).rows
        n = sum(end <= size for end in ends) - 1
        assert list(read) == list(rows)[: max(n, 0)]
        Manifest(path).add(Row(url="http://c"))  # on its own line
        assert list(Manifest(path).rows) == [*list(rows)[: max(n, 0)], "http://c"]


def test_a_table_of_an_earlier_version_is_read_and_continued(tmp_path) -> None:
    path = tmp_path / "t.csv"
    Manifest(path).add(Row(url="http://a", license="CC0"))
    path.write_text(path.read_text().replace("license", "license".replace("s", "c", 1)))
    table = Manifest(path)
    assert table.rows["http://a"].license == "CC0"
    table.add(Row(url="http://b", license="MIT"))
    assert Manifest(path).rows["http://b"].license == "MIT"


def test_the_last_row_of_a_url_is_valid(tmp_path) -> None:
    table = Manifest(tmp_path / "t.csv")
    for reason in ("first", "second"):
        table.add(Row(url="http://a", reason=reason))
    table.add(Row(url="http://b"))
    table = Manifest(tmp_path / "t.csv")
    assert table.rows["http://a"].reason == "second"
    table.drop(["http://b"])
    assert (tmp_path / "t.csv").read_text().count("http://a") == 1
    table.drop(["http://a"])
    assert not (tmp_path / "t.csv").exists()


def test_urls_are_read_back_unchanged(tmp_path) -> None:
    urls = ["http://a/two  blanks.jpg", "http://a/no\u00a0break.jpg", 'http://a/",.jpg']
    table = Manifest(tmp_path / "t.csv")
    for url in urls:
        table.add(Row(url=url))
    assert list(Manifest(tmp_path / "t.csv").rows) == urls


def test_a_full_disk_is_a_one_line_error(tmp_path, monkeypatch) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with (
        pytest.raises(BenchError, match=r"jpg\.part: no space left on device; fix this"),
        open_collection(tmp_path) as collection,
    ):
        add(collection, LION, 1)
    monkeypatch.undo()
    with open_collection(tmp_path) as collection:
        assert collection.select_pending([LION], again=False) == [LION]


@pytest.mark.parametrize("text", ["path,label\na.jpg,lion\n", "path,label\na.jpg,lion", "notes"])
def test_another_table_is_not_changed(tmp_path, text) -> None:
    (tmp_path / "collected.csv").write_text(text)
    with (
        pytest.raises(BenchError, match="was not written by this command"),
        open_collection(tmp_path),
    ):
        pass
    assert (tmp_path / "collected.csv").read_text() == text


def test_deleted_images_stay_deleted_and_damaged_ones_are_requested_again(tmp_path) -> None:
    with open_collection(tmp_path) as collection:
        add(collection, LION, 1)
        add(collection, TIGER, 2)
        assert collection.select_pending([LION, TIGER], again=False) == []
    lion, tiger = list_images(tmp_path)
    (tmp_path / lion).unlink()
    (tmp_path / tiger).write_bytes(b"")
    (tmp_path / "tiger/.0123456789abcdef01234567.jpg.part").write_bytes(b"half")
    with open_collection(tmp_path) as collection:
        assert collection.select_pending([LION, TIGER], again=False) == [TIGER]
        assert collection.statuses == {LION.url: "removed"}
    with open_collection(tmp_path) as collection:
        assert collection.select_pending([LION, TIGER], again=True) == [LION, TIGER]
        add(collection, TIGER, 2)
        add(collection, LION, 1)
    with open_collection(tmp_path) as collection:
        assert collection.select_pending([LION, TIGER], again=False) == []
    assert list_images(tmp_path) == [lion, tiger]
    assert not (tmp_path / "not_collected.csv").exists()


def test_a_restored_image_is_collected_again_and_once(tmp_path) -> None:
    duplicate = ListedImage("http://b/lion", "lion")
    with open_collection(tmp_path) as collection:
        add(collection, LION, 1)
    (file,) = (tmp_path / name for name in list_images(tmp_path))
    file.unlink()
    with open_collection(tmp_path) as collection:
        add(collection, duplicate, 1)
    with open_collection(tmp_path) as collection:
        assert list(collection.collected.rows) == [duplicate.url]
    file.rename(tmp_path / "aside.jpg")
    with open_collection(tmp_path) as collection:
        assert list(collection.collected.rows) == []
    (tmp_path / "aside.jpg").rename(file)
    with open_collection(tmp_path) as collection:
        assert list(collection.collected.rows) == [LION.url]
        assert collection.select_pending([LION, TIGER], again=False) == [TIGER]
        assert collection.statuses == {LION.url: ALREADY_COLLECTED}
    text = (tmp_path / "collected.csv").read_text()
    assert "was deleted" not in text
    assert text.count(COLLECTED) == 1


def test_another_label_than_in_an_earlier_run_is_recorded(tmp_path) -> None:
    with open_collection(tmp_path) as collection:
        add(collection, LION, 1)
    with open_collection(tmp_path) as collection:
        assert collection.select_pending([ListedImage(LION.url, "puma")], again=False) == []
        assert collection.statuses == {LION.url: "other_label"}
    assert "already collected, labeled lion" in (tmp_path / "not_collected.csv").read_text()
    with open_collection(tmp_path) as collection:
        assert collection.select_pending([LION], again=False) == []
    assert not (tmp_path / "not_collected.csv").exists()


def test_one_process_at_a_time(tmp_path) -> None:
    with (
        open_collection(tmp_path),
        pytest.raises(BenchError, match="another process is collecting"),
        open_collection(tmp_path),
    ):
        pass


def test_a_folder_that_cannot_be_created(tmp_path) -> None:
    (tmp_path / "file").touch()
    for path in ("file", "file/below"):
        with (
            pytest.raises(BenchError, match="choose another"),
            open_collection(tmp_path / path),
        ):
            pass

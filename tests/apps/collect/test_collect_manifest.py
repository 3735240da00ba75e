"""The tables: a kill costs at most the last row, and what a user does to the folder is seen."""

import os

import pytest

from outliers_bench.apps.collect.collection import collection
from outliers_bench.apps.collect.image_check import examine
from outliers_bench.apps.collect.manifest import Manifest, Row
from outliers_bench.apps.collect.url_list import Wanted
from outliers_bench.errors import BenchError
from tests.apps.collect.web import images, photo

LION, TIGER = Wanted("http://a/lion", "lion", "CC0"), Wanted("http://a/tiger", "tiger")


def keep(into, wanted, seed) -> None:
    data = photo(seed)
    picture = examine(data, min_side=1, max_pixels=10**6)
    into.keep(wanted, picture, data, final_url=wanted.url)


def test_whatever_stands_at_the_end_after_a_kill_whole_rows_are_read(tmp_path) -> None:
    path = tmp_path / "t.csv"
    with Manifest(path) as table:
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
        with Manifest(path) as table:  # and the next row stands on a line of its own
            table.add(Row(url="http://c"))
        assert list(Manifest(path).rows) == [*list(rows)[: max(n, 0)], "http://c"]


def test_the_last_row_of_a_url_counts(tmp_path) -> None:
    with Manifest(tmp_path / "t.csv") as table:
        for reason in ("first", "second"):
            table.add(Row(url="http://a", reason=reason))
        table.add(Row(url="http://b"))
    table = Manifest(tmp_path / "t.csv")
    assert table.rows["http://a"].reason == "second"
    table.drop(["http://b"])
    assert (tmp_path / "t.csv").read_text().count("http://a") == 1
    table.drop(["http://a"])
    assert not (tmp_path / "t.csv").exists()


def test_a_url_is_known_again_as_it_is(tmp_path) -> None:
    urls = ["http://a/two  blanks.jpg", "http://a/no\u00a0break.jpg", 'http://a/",.jpg']
    with Manifest(tmp_path / "t.csv") as table:
        for url in urls:
            table.add(Row(url=url))
    assert list(Manifest(tmp_path / "t.csv").rows) == urls


def test_a_disk_that_fills_up_in_a_row_leaves_whole_rows(tmp_path, monkeypatch) -> None:
    path, write = tmp_path / "t.csv", os.write
    with Manifest(path) as table:
        table.add(Row(url="http://a"))
        before = path.read_bytes()
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: len(data) // 2]))
        with pytest.raises(BenchError, match=r"t\.csv: no space left on device; make room"):
            table.add(Row(url="http://b"))
        assert path.read_bytes() == before
        monkeypatch.undo()
        table.add(Row(url="http://c"))
    assert list(Manifest(path).rows) == ["http://a", "http://c"]


@pytest.mark.parametrize("text", ["path,label\na.jpg,lion\n", "path,label\na.jpg,lion", "notes"])
def test_a_table_of_another_kind_is_left_alone(tmp_path, text) -> None:
    (tmp_path / "collected.csv").write_text(text)
    with pytest.raises(BenchError, match="was not written by this command"), collection(tmp_path):
        pass
    assert (tmp_path / "collected.csv").read_text() == text


def test_deleted_files_stay_deleted_and_broken_ones_are_asked_for_again(tmp_path) -> None:
    with collection(tmp_path) as into:
        keep(into, LION, 1)
        keep(into, TIGER, 2)
        assert into.todo([LION, TIGER], again=False) == []
    lion, tiger = images(tmp_path)
    (tmp_path / lion).unlink()
    (tmp_path / tiger).write_bytes(b"")
    (tmp_path / "tiger/.0123456789abcdef01234567.jpg.part").write_bytes(b"half")
    with collection(tmp_path) as into:
        assert into.todo([LION, TIGER], again=False) == [TIGER]
        assert into.counts == {"removed": 1}
    with collection(tmp_path) as into:
        assert into.todo([LION, TIGER], again=True) == [LION, TIGER]
        keep(into, TIGER, 2)
        keep(into, LION, 1)
    with collection(tmp_path) as into:
        assert into.todo([LION, TIGER], again=False) == []
    assert images(tmp_path) == [lion, tiger]
    assert not (tmp_path / "not_collected.csv").exists()


def test_a_photo_that_is_put_back_counts_again_and_once(tmp_path) -> None:
    twin = Wanted("http://b/lion", "lion")
    with collection(tmp_path) as into:
        keep(into, LION, 1)
    (file,) = (tmp_path / name for name in images(tmp_path))
    file.unlink()
    with collection(tmp_path) as into:
        keep(into, twin, 1)  # the same picture elsewhere
    with collection(tmp_path) as into:
        assert list(into.kept.rows) == [twin.url]
    file.rename(tmp_path / "aside.jpg")
    with collection(tmp_path) as into:
        assert list(into.kept.rows) == []
    (tmp_path / "aside.jpg").rename(file)
    with collection(tmp_path) as into:
        assert list(into.kept.rows) == [LION.url]
        assert into.todo([LION, TIGER], again=False) == [TIGER]
        assert into.counts == {"there": 1}
    text = (tmp_path / "collected.csv").read_text()
    assert "was deleted" not in text
    assert text.count("kept") == 1


def test_another_label_than_before_is_told(tmp_path) -> None:
    with collection(tmp_path) as into:
        keep(into, LION, 1)
    with collection(tmp_path) as into:
        assert into.todo([Wanted(LION.url, "puma")], again=False) == []
        assert into.counts == {"other_label": 1}
    assert "collected before as lion" in (tmp_path / "not_collected.csv").read_text()
    with collection(tmp_path) as into:
        assert into.todo([LION], again=False) == []
    assert not (tmp_path / "not_collected.csv").exists()


def test_one_process_at_a_time(tmp_path) -> None:
    with (
        collection(tmp_path),
        pytest.raises(BenchError, match="another process is collecting"),
        collection(tmp_path),
    ):
        pass


def test_a_folder_that_cannot_be(tmp_path) -> None:
    (tmp_path / "file").touch()
    for path in ("file", "file/below"):
        with pytest.raises(BenchError, match="choose another folder"), collection(tmp_path / path):
            pass

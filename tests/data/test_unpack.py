"""Unpacking of valid, malicious, and damaged archives."""

import gzip
import io
import stat
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.data.download import unpack as unpack_module
from outliers_bench.data.download.checksum import DownloadError
from outliers_bench.data.download.unpack import unpack

LARGE_LIMITS = {"max_files": 1000, "max_bytes": 200_000_000}


def make_zip(path, entries, *, mode=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if mode is not None:
                info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


def make_tar(path, entries, **attributes):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            archive.addfile(info, io.BytesIO(content))
    return path


MAKERS = {"photos.zip": make_zip, "photos.tar.gz": make_tar}


@pytest.fixture(params=MAKERS)
def make(request, tmp_path):
    return lambda entries: MAKERS[request.param](tmp_path / request.param, entries)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_files_are_unpacked(make, tmp_path):
    files = {"cat/1.jpg": b"one", "cat/deep/2.jpg": bytes(3_000_000), "empty": b""}
    unpack(make(files.items()), tmp_path / "out", **LARGE_LIMITS)
    assert contents(tmp_path / "out") == files


def test_folders_and_leading_dots_are_ignored(tmp_path):
    archive = tmp_path / "photos.tar"
    with tarfile.open(archive, "w") as opened:
        folder = tarfile.TarInfo("./cat")
        folder.type = tarfile.DIRTYPE
        opened.addfile(folder)
        info = tarfile.TarInfo("./cat/1.jpg")
        info.size, info.mode, info.uid = 3, 0o4777, 12345
        opened.addfile(info, io.BytesIO(b"one"))
    unpack(archive, tmp_path / "out", **LARGE_LIMITS, only=["cat/*.jpg"])
    assert contents(tmp_path / "out") == {"cat/1.jpg": b"one"}
    assert not (tmp_path / "out/cat/1.jpg").stat().st_mode & 0o7111


def test_gz_file_is_one_file(tmp_path):
    (tmp_path / "array.gz").write_bytes(gzip.compress(b"numbers"))
    unpack(tmp_path / "array.gz", tmp_path / "out", **LARGE_LIMITS)
    assert contents(tmp_path / "out") == {"array": b"numbers"}


def test_only_selected_entries_are_written(make, tmp_path):
    archive = make([("a/1.jpg", b"1"), ("a/1.xml", b"2"), ("b/1.jpg", b"3")])
    unpack(archive, tmp_path / "out", **LARGE_LIMITS, only=["a/*.jpg"])
    assert contents(tmp_path / "out") == {"a/1.jpg": b"1"}


@pytest.mark.parametrize(
    "name",
    ["../out.jpg", "a/../../out.jpg", "/tmp/out.jpg", "..\\out.jpg", "C:\\out.jpg", "C:out.jpg"],
)
def test_entries_outside_the_folder_are_refused(make, tmp_path, name):
    inner = tmp_path / "deep" / "inner"
    with pytest.raises(DownloadError, match="is outside the folder"):
        unpack(make([(name, b"x")]), inner, **LARGE_LIMITS)
    assert contents(tmp_path / "deep") == {}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(
            st.sampled_from("ab./\\:") | st.characters(codec="utf-8", exclude_characters="\0"),
            min_size=1,
            max_size=12,
        ),
        max_size=4,
    )
)
def test_no_entry_name_writes_outside_the_folder(names):
    with tempfile.TemporaryDirectory() as folder:
        assert_nothing_outside(Path(folder), names)


def assert_nothing_outside(base, names):
    with zipfile.ZipFile(base / "photos.zip", "w") as archive:
        for name in dict.fromkeys(names):
            archive.writestr(name, b"x")
    with suppress(DownloadError):
        unpack(base / "photos.zip", base / "out", **LARGE_LIMITS)
    assert {path.name for path in base.iterdir()} == {"photos.zip", "out"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    archive = make_tar(tmp_path / "x.tar.gz", [("a.jpg", b"")], type=kind, linkname="/etc/passwd")
    with pytest.raises(DownloadError, match=r"a\.jpg is a link or a device"):
        unpack(archive, tmp_path / "out", **LARGE_LIMITS)
    assert list((tmp_path / "out").iterdir()) == []


def test_links_in_a_zip_are_refused(tmp_path):
    archive = make_zip(tmp_path / "x.zip", [("a.jpg", b"/etc/passwd")], mode=stat.S_IFLNK | 0o777)
    with pytest.raises(DownloadError, match=r"a\.jpg is a link or a device"):
        unpack(archive, tmp_path / "out", **LARGE_LIMITS)


@pytest.mark.parametrize("name", ["", ".", "./"])
def test_an_entry_without_a_name_is_refused(tmp_path, name):
    archive = tmp_path / "photos.tar"
    with tarfile.open(archive, "w") as file:
        file.addfile(tarfile.TarInfo(name))
    with pytest.raises(DownloadError, match="an entry has no name"):
        unpack(archive, tmp_path / "to", max_files=9, max_bytes=99)


def test_repeated_entry_is_refused(tmp_path):
    archive = make_tar(tmp_path / "x.tar.gz", [("a.jpg", b"1"), ("a.jpg", b"2")])
    with pytest.raises(DownloadError, match=r"it contains a\.jpg twice"):
        unpack(archive, tmp_path / "out", **LARGE_LIMITS)


def test_too_large_archive_is_stopped(make, tmp_path):
    archive = make([(f"{i}.jpg", bytes(100_000)) for i in range(20)])
    with pytest.raises(DownloadError, match=r"it grows beyond 976\.6 KiB"):
        unpack(archive, tmp_path / "out", max_files=1000, max_bytes=1_000_000)
    assert sum(map(len, contents(tmp_path / "out").values())) <= 1_100_000


def test_too_high_compression_ratio_is_stopped(make, tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_module, "_FREE_BYTES", 1_000_000)
    with pytest.raises(DownloadError, match="more than 200 times its size"):
        unpack(make([("a.jpg", bytes(20_000_000))]), tmp_path / "out", **LARGE_LIMITS)


def test_gz_bomb_is_stopped(tmp_path):
    (tmp_path / "array.gz").write_bytes(gzip.compress(bytes(5_000_000)))
    with pytest.raises(DownloadError, match=r"it grows beyond 976\.6 KiB"):
        unpack(tmp_path / "array.gz", tmp_path / "out", max_files=1, max_bytes=1_000_000)


def test_zip_with_wrong_sizes_is_detected(tmp_path):
    archive = make_zip(tmp_path / "x.zip", [("a.jpg", bytes(5_000_000))])
    data = archive.read_bytes()
    assert data.count((5_000_000).to_bytes(4, "little")) == 2
    archive.write_bytes(data.replace((5_000_000).to_bytes(4, "little"), (7).to_bytes(4, "little")))
    with pytest.raises(DownloadError, match="is damaged"):
        unpack(archive, tmp_path / "out", max_files=9, max_bytes=1_000_000)


def test_too_many_entries_are_refused(make, tmp_path):
    archive = make([(f"{i}.jpg", b"") for i in range(11)])
    with pytest.raises(DownloadError, match="it contains more than 10 entries"):
        unpack(archive, tmp_path / "out", max_files=10, max_bytes=1000)


@pytest.mark.parametrize("size", [5_000_000, -5_000_000])
def test_too_long_name_is_refused(tmp_path, size):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    header = info.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(header + b"a" * 5_000_000))
    with pytest.raises(DownloadError, match="the name of an entry is too long"):
        unpack(tmp_path / "x.tar.gz", tmp_path / "out", **LARGE_LIMITS)


def test_long_names_of_unselected_entries_are_refused(tmp_path):
    archive = make_tar(tmp_path / "x.tar.gz", [("a" * 100_000, b"")])
    with pytest.raises(DownloadError, match="is outside the folder"):
        unpack(archive, tmp_path / "out", **LARGE_LIMITS, only=["cat/*.jpg"])


def test_damage_is_reported(make, tmp_path):
    archive = make([("a.jpg", b"".join(i.to_bytes(4) for i in range(100_000)))])
    data = archive.read_bytes()
    for damaged in (data[: len(data) // 2], data[:40], b"<html>not an archive</html>", b""):
        archive.write_bytes(damaged)
        with pytest.raises(DownloadError, match=r"is damaged .* remove it to download it again"):
            unpack(archive, tmp_path / f"out{len(damaged)}", **LARGE_LIMITS)


def test_wrong_checksum_is_reported(tmp_path):
    archive = make_tar(tmp_path / "x.tar.gz", [("a.jpg", b"photo")])
    data = bytearray(archive.read_bytes())
    data[-8] ^= 1  # the CRC of gzip, after the last entry
    archive.write_bytes(bytes(data))
    with pytest.raises(DownloadError, match="is damaged"):
        unpack(archive, tmp_path / "out", **LARGE_LIMITS)


def test_unknown_extension_is_refused(tmp_path):
    (tmp_path / "x.rar").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"not a \.zip, \.tar, or \.gz file"):
        unpack(tmp_path / "x.rar", tmp_path / "out", **LARGE_LIMITS)

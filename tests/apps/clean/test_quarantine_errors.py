"""Quarantine: invalid lists and folders are refused, and a failure loses no photo."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from outliers_bench.apps.clean import move as move_module
from outliers_bench.apps.clean import quarantine as quarantine_module
from outliers_bench.apps.clean.quarantine import Quarantine
from outliers_bench.errors import BenchError
from tests.apps.clean.photo_trees import (
    NAMES,
    all_states,
    create_quarantine,
    file_states,
    tiny_photos,
)


@pytest.mark.parametrize(
    "line",
    [
        '{"path": "../../etc/passwd", "to": "cat/1.jpg"}',
        '{"path": "cat/9.jpg", "to": "/etc/passwd"}',
        '{"path": 3, "to": "cat/1.jpg"}',
        '["cat/1.jpg"]',
        "not json",
    ],
)
def test_invalid_lines_are_refused(tmp_path, line) -> None:
    quarantine = create_quarantine(tmp_path / "photos")
    quarantine.add(tiny_photos(NAMES[0]))
    with (tmp_path / "quarantine/undo.jsonl").open("a") as file:
        file.write(line + "\n")
    files = all_states(tmp_path)
    with pytest.raises(BenchError, match=r"undo\.jsonl, line 3, is invalid"):
        quarantine.restore()
    assert all_states(tmp_path) == files


def test_symbolic_links_out_of_the_quarantine_are_refused(tmp_path) -> None:
    quarantine = create_quarantine(tmp_path / "photos")
    (tmp_path / "outside").mkdir()
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine/cat").symlink_to(tmp_path / "outside")
    with pytest.raises(BenchError, match=r"is outside of .*quarantine because of a symbolic"):
        quarantine.add(tiny_photos(NAMES[0]))
    assert not list((tmp_path / "outside").iterdir())


def test_overlapping_folders_and_another_root_are_refused(tmp_path) -> None:
    create_quarantine(tmp_path / "photos").add(tiny_photos(NAMES[0]))
    overlapping = [
        ("photos", "photos/quarantine"),
        ("photos/cat", "photos"),
        ("quarantine", "quarantine"),
    ]
    for root, folder in overlapping:
        with pytest.raises(BenchError, match="overlap"):
            Quarantine(tmp_path / root, tmp_path / folder).check(writing=True)
    (tmp_path / "others").mkdir()
    with pytest.raises(
        BenchError, match=r"quarantine has photos of .*photos; choose another folder"
    ):
        Quarantine(tmp_path / "others", tmp_path / "quarantine").check(writing=False)
    # A root that was renamed with its quarantine is accepted.
    (tmp_path / "photos").rename(tmp_path / "pictures")
    assert Quarantine(tmp_path / "pictures", tmp_path / "quarantine").restore() == (1, [])


def test_full_disk_is_a_one_line_error_and_loses_no_photo(
    tmp_path, monkeypatch, other_file_system
) -> None:
    quarantine = create_quarantine(tmp_path / "photos")
    before, states_before = file_states(tmp_path / "photos"), all_states(tmp_path)
    copy, count = move_module.shutil.copy2, [0]

    def fail_at_third_call(source: Path, target: Path) -> object:
        count[0] += 1
        if count[0] == 3:
            target.write_bytes(b"half of")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return copy(source, target)

    monkeypatch.setattr(move_module.shutil, "copy2", fail_at_third_call)
    message = r"no space left on device; 2 of 5 photos were moved; the same command moves"
    with pytest.raises(BenchError, match=message):
        quarantine.add(tiny_photos(*NAMES))
    assert all_states(tmp_path) == states_before
    assert quarantine.restore() == (2, [])
    assert file_states(tmp_path / "photos") == before


def test_undo_list_that_cannot_be_written_is_a_one_line_error(tmp_path, monkeypatch) -> None:
    def fail(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    quarantine = create_quarantine(tmp_path / "photos")
    before = file_states(tmp_path / "photos")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(
        BenchError, match=r"undo\.jsonl: no space left on device; nothing was moved"
    ):
        quarantine.add(tiny_photos(*NAMES))
    assert file_states(tmp_path / "photos") == before


def test_read_only_folder_is_reported_before_the_first_move(tmp_path, monkeypatch) -> None:
    quarantine = create_quarantine(tmp_path / "photos")
    before = file_states(tmp_path / "photos")
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "dog" and access(path, mode)
    )
    with pytest.raises(BenchError, match=r"photos/dog is not writable; nothing was moved"):
        quarantine.add(tiny_photos(*NAMES))
    assert file_states(tmp_path / "photos") == before
    assert not (tmp_path / "quarantine").exists()


def test_photo_that_cannot_be_removed_is_not_duplicated(tmp_path, monkeypatch) -> None:
    quarantine = create_quarantine(tmp_path / "photos")
    states_before = all_states(tmp_path)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if "photos" in path.parts and path.name == "1.jpg":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(BenchError, match=r"cat/1\.jpg: permission denied; 0 of 1 photos were"):
        quarantine.add(tiny_photos(NAMES[0]))
    assert all_states(tmp_path) == states_before


def test_failed_cleanup_after_a_kill_is_a_one_line_error(tmp_path, monkeypatch) -> None:
    quarantine = create_quarantine(tmp_path / "photos")
    quarantine.add(tiny_photos(NAMES[0]))

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))

    monkeypatch.setattr(quarantine_module, "undo_partial_move", refuse)
    with pytest.raises(
        BenchError, match=r"quarantine/cat/1\.jpg: permission denied; nothing was moved"
    ):
        quarantine.restore()


def test_second_process_is_refused(tmp_path) -> None:
    from filelock import FileLock

    quarantine = create_quarantine(tmp_path / "photos")
    (tmp_path / "quarantine").mkdir()
    with (
        FileLock(tmp_path / "quarantine/.lock"),
        pytest.raises(BenchError, match="another process is moving photos"),
    ):
        quarantine.add(tiny_photos(NAMES[0]))

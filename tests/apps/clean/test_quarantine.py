"""Quarantine: photos can be restored, whatever happens in between."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.clean import move as move_module
from outliers_bench.apps.clean import quarantine as quarantine_module
from outliers_bench.apps.clean.move import move
from outliers_bench.apps.clean.quarantine import Quarantine
from outliers_bench.errors import BenchError
from tests.apps.clean.photo_trees import (
    NAMES,
    file_states,
    raise_cross_device,
    rename_within_folder,
    tiny_photos,
)


def create_photos(root: Path, names: list[str] = NAMES) -> Quarantine:
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    return Quarantine(root, root.with_name("quarantine"))


def all_states(tmp_path: Path) -> list[tuple[str, int, int]]:
    return sorted(
        [*file_states(tmp_path / "photos").values(), *file_states(tmp_path / "quarantine").values()]
    )


@pytest.fixture
def other_file_system(monkeypatch):
    """Simulate a quarantine on another file system."""
    monkeypatch.setattr(Path, "hardlink_to", raise_cross_device)
    monkeypatch.setattr(Path, "rename", rename_within_folder)


def test_photos_keep_their_paths_and_are_restored(tmp_path) -> None:
    quarantine = create_photos(tmp_path / "photos")
    before = file_states(tmp_path / "photos")
    assert quarantine.add(tiny_photos(NAMES[1], NAMES[2])) == 2
    assert list(file_states(tmp_path / "quarantine")) == ["cat/2.jpg", "cat/deep/3.jpg"]
    assert list(file_states(tmp_path / "photos")) == ["cat/1.jpg", "dog/1.jpg", "dog/ä b.jpg"]
    lines = (tmp_path / "quarantine/undo.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"root": str(tmp_path / "photos")}
    assert json.loads(lines[1]) == {"path": "cat/2.jpg", "to": "cat/2.jpg", "kinds": ["tiny"]}
    assert quarantine.add(tiny_photos(NAMES[4])) == 1
    assert quarantine.restore() == (3, [])
    assert file_states(tmp_path / "photos") == before
    assert not (tmp_path / "quarantine").exists()
    with pytest.raises(BenchError, match=r"quarantine: no undo\.jsonl in it; nothing to undo"):
        quarantine.restore()


@settings(max_examples=12, deadline=None)
@given(
    batches=st.lists(st.sets(st.sampled_from(NAMES), min_size=1), min_size=1, max_size=3),
    other_file_system=st.booleans(),
)
def test_no_photo_is_lost(tmp_path_factory, batches, other_file_system) -> None:
    folder = tmp_path_factory.mktemp("folder")
    quarantine = create_photos(folder / "photos")
    before, states_before = file_states(folder / "photos"), all_states(folder)
    with pytest.MonkeyPatch.context() as patch:
        if other_file_system:
            patch.setattr(Path, "hardlink_to", raise_cross_device)
            patch.setattr(Path, "rename", rename_within_folder)
        for names in batches:
            quarantine.add(
                tiny_photos(*(name for name in names if (folder / "photos" / name).exists()))
            )
            assert all_states(folder) == states_before
        quarantine.restore()
    assert file_states(folder / "photos") == before


@pytest.mark.parametrize(
    ("point", "during", "then"),
    [
        ("recorded", "apply", "undo"),
        ("linked", "apply", "apply"),
        pytest.param("linked", "undo", "undo", marks=pytest.mark.slow),
        pytest.param("copied", "apply", "undo", marks=pytest.mark.slow),
        ("half", "undo", "apply"),
    ],
)
def test_both_directions_can_continue_after_a_kill(tmp_path, point, during, then) -> None:
    quarantine = create_photos(tmp_path / "photos")
    before, states_before = file_states(tmp_path / "photos"), all_states(tmp_path)
    if during == "undo":
        quarantine.add(tiny_photos(*NAMES[1:]))
    done = subprocess.run(
        [sys.executable, "-m", "tests.apps.clean.kill_during_move", str(tmp_path), point, during],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    remaining = set(file_states(tmp_path / "photos"))
    assert NAMES[0] in remaining
    assert remaining != set(before)
    if then == "apply":
        quarantine.add(
            tiny_photos(*(name for name in NAMES[1:] if (tmp_path / "photos" / name).exists()))
        )
        assert list(file_states(tmp_path / "photos")) == [NAMES[0]]
        assert all_states(tmp_path) == states_before
    quarantine.restore()
    assert file_states(tmp_path / "photos") == before
    assert not (tmp_path / "quarantine").exists()


def test_incomplete_line_is_overwritten(tmp_path) -> None:
    quarantine = create_photos(tmp_path / "photos")
    before = file_states(tmp_path / "photos")
    quarantine.add(tiny_photos(NAMES[0]))
    with (tmp_path / "quarantine/undo.jsonl").open("a") as file:
        file.write('{"path": "cat/2.j')
    quarantine.add(tiny_photos(NAMES[2]))
    assert quarantine.restore() == (2, [])
    assert file_states(tmp_path / "photos") == before


def test_no_photo_is_overwritten(tmp_path) -> None:
    quarantine = create_photos(tmp_path / "photos")
    quarantine.add(tiny_photos(*NAMES[:2]))
    (tmp_path / "photos/cat/1.jpg").write_bytes(b"a new photo")
    files = all_states(tmp_path)
    with pytest.raises(
        BenchError, match=r"1 photo cannot be restored.*quarantine/cat/1\.jpg would over"
    ):
        quarantine.restore()
    assert all_states(tmp_path) == files
    # The new photo is added to the quarantine under another name.
    quarantine.add(tiny_photos(NAMES[0]))
    assert all_states(tmp_path) == files
    assert (tmp_path / "quarantine/cat/1~2.jpg").read_bytes() == b"a new photo"
    with pytest.raises(BenchError, match=r"quarantine/cat/1\.jpg would overwrite"):
        quarantine.restore()
    (tmp_path / "quarantine/cat/1.jpg").rename(tmp_path / "old.jpg")
    assert quarantine.restore() == (2, [])
    assert (tmp_path / "photos/cat/1.jpg").read_bytes() == b"a new photo"


@pytest.mark.parametrize("disk", ["same", "another"])
def test_move_does_not_overwrite(tmp_path, request, disk) -> None:
    if disk == "another":
        request.getfixturevalue("other_file_system")
    for name in ("here/a", "there/b"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        move(tmp_path / "here/a", tmp_path / "there/b")
    assert (tmp_path / "there/b").read_text() == "there/b"
    assert (tmp_path / "here/a").read_text() == "here/a"


def test_missing_photo_is_reported_and_stays_on_the_list(tmp_path) -> None:
    quarantine = create_photos(tmp_path / "photos")
    before = file_states(tmp_path / "photos")
    quarantine.add(tiny_photos(*NAMES[:2]))
    (tmp_path / "quarantine/cat/1.jpg").rename(tmp_path / "elsewhere.jpg")
    assert quarantine.restore() == (1, ["cat/1.jpg"])
    (tmp_path / "quarantine/cat").mkdir(exist_ok=True)
    (tmp_path / "elsewhere.jpg").rename(tmp_path / "quarantine/cat/1.jpg")
    assert quarantine.restore() == (1, [])
    assert file_states(tmp_path / "photos") == before


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
    quarantine = create_photos(tmp_path / "photos")
    quarantine.add(tiny_photos(NAMES[0]))
    with (tmp_path / "quarantine/undo.jsonl").open("a") as file:
        file.write(line + "\n")
    files = all_states(tmp_path)
    with pytest.raises(BenchError, match=r"undo\.jsonl, line 3, is invalid"):
        quarantine.restore()
    assert all_states(tmp_path) == files


def test_symbolic_links_out_of_the_quarantine_are_refused(tmp_path) -> None:
    quarantine = create_photos(tmp_path / "photos")
    (tmp_path / "outside").mkdir()
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine/cat").symlink_to(tmp_path / "outside")
    with pytest.raises(BenchError, match=r"is outside of .*quarantine because of a symbolic"):
        quarantine.add(tiny_photos(NAMES[0]))
    assert not list((tmp_path / "outside").iterdir())


def test_overlapping_folders_and_another_root_are_refused(tmp_path) -> None:
    create_photos(tmp_path / "photos").add(tiny_photos(NAMES[0]))
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
    quarantine = create_photos(tmp_path / "photos")
    before, states_before = file_states(tmp_path / "photos"), all_states(tmp_path)
    copy, count = move_module.shutil.copy2, [0]

    def fail_at_third_call(source: Path, target: Path) -> object:
        count[0] += 1
        if count[0] == 3:
            target.write_bytes(b"half of")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return copy(source, target)

    monkeypatch.setattr(move_module.shutil, "copy2", fail_at_third_call)
    message = r"no space left on device; 2 of 5 photos were moved to .*: the same command moves"
    with pytest.raises(BenchError, match=message):
        quarantine.add(tiny_photos(*NAMES))
    assert all_states(tmp_path) == states_before
    assert quarantine.restore() == (2, [])
    assert file_states(tmp_path / "photos") == before


def test_read_only_folder_is_reported_before_the_first_move(tmp_path, monkeypatch) -> None:
    quarantine = create_photos(tmp_path / "photos")
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
    quarantine = create_photos(tmp_path / "photos")
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
    quarantine = create_photos(tmp_path / "photos")
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

    quarantine = create_photos(tmp_path / "photos")
    (tmp_path / "quarantine").mkdir()
    with (
        FileLock(tmp_path / "quarantine/.lock"),
        pytest.raises(BenchError, match="another process is moving photos"),
    ):
        quarantine.add(tiny_photos(NAMES[0]))

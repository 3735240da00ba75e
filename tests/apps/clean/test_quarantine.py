"""Quarantine: photos can be restored, whatever happens in between."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.clean.move import move
from outliers_bench.errors import BenchError
from tests.apps.clean.photo_trees import (
    NAMES,
    all_states,
    create_quarantine,
    file_states,
    raise_cross_device,
    rename_within_folder,
    tiny_photos,
)


def test_photos_keep_their_paths_and_are_restored(tmp_path) -> None:
    quarantine = create_quarantine(tmp_path / "photos")
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
    cross_device=st.booleans(),
)
def test_no_photo_is_lost(tmp_path_factory, batches, cross_device) -> None:
    folder = tmp_path_factory.mktemp("folder")
    quarantine = create_quarantine(folder / "photos")
    before, states_before = file_states(folder / "photos"), all_states(folder)
    with pytest.MonkeyPatch.context() as patch:
        if cross_device:
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
    quarantine = create_quarantine(tmp_path / "photos")
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
    quarantine = create_quarantine(tmp_path / "photos")
    before = file_states(tmp_path / "photos")
    quarantine.add(tiny_photos(NAMES[0]))
    with (tmp_path / "quarantine/undo.jsonl").open("a") as file:
        file.write('{"path": "cat/2.j')
    quarantine.add(tiny_photos(NAMES[2]))
    assert quarantine.restore() == (2, [])
    assert file_states(tmp_path / "photos") == before


def test_no_photo_is_overwritten(tmp_path) -> None:
    quarantine = create_quarantine(tmp_path / "photos")
    quarantine.add(tiny_photos(*NAMES[:2]))
    (tmp_path / "photos/cat/1.jpg").write_bytes(b"a new photo")
    files = all_states(tmp_path)
    with pytest.raises(
        BenchError, match=r"1 of the photos cannot be restored.*quarantine/cat/1\.jpg would over"
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
    quarantine = create_quarantine(tmp_path / "photos")
    before = file_states(tmp_path / "photos")
    quarantine.add(tiny_photos(*NAMES[:2]))
    (tmp_path / "quarantine/cat/1.jpg").rename(tmp_path / "elsewhere.jpg")
    assert quarantine.restore() == (1, ["cat/1.jpg"])
    (tmp_path / "quarantine/cat").mkdir(exist_ok=True)
    (tmp_path / "elsewhere.jpg").rename(tmp_path / "quarantine/cat/1.jpg")
    assert quarantine.restore() == (1, [])
    assert file_states(tmp_path / "photos") == before

"""The order of the rooms: imports run downhill, and nobody imports in a circle."""

from collections import Counter

import pytest

from tests.architecture import (
    DOORS,
    FLOOR,
    PACKAGE,
    PAGE,
    ROOT,
    circles,
    drawing,
    imports,
    modules,
    page_with,
    room_of,
)

LONGEST = 300  # lines


def test_every_room_has_a_floor():
    assert {room_of(module) for module in modules()} == set(FLOOR)


def test_imports_run_downhill():
    uphill = [
        f"{each.module}:{each.line} imports {each.imported}"
        for each in imports()
        if each.rooms[0] != each.rooms[1] and FLOOR[each.rooms[1]] >= FLOOR[each.rooms[0]]
    ]
    assert not uphill


def test_no_module_imports_itself_around_a_corner():
    assert circles() == []


def test_nothing_imports_the_commands_but_the_doors():
    assert {each.rooms[0] for each in imports() if each.rooms[1] == "apps"} <= {"apps", *DOORS}


def test_the_drawing_in_the_docs_is_of_these_imports():
    assert PAGE.read_text() == page_with(drawing()), "run python -m tests.architecture"


@pytest.mark.parametrize("folder", ["outliers_bench", "tests", "benchmarks"])
def test_no_module_is_long(folder):
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (ROOT / folder).rglob("*.py")
    }
    assert not {path: n for path, n in lengths.items() if n > LONGEST}


def test_tests_mirror_the_rooms():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    folders = Counter(
        path.parent.name for path in (ROOT / "tests").glob("*/test_*.py") if path.parent.name
    )
    assert set(folders) - {"contract", "commands"} <= rooms

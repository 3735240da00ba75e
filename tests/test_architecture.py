"""The order of the rooms: imports run downhill, and nobody imports in a circle."""

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


def test_nothing_imports_the_commands_but_what_calls_them():
    importers = {each.rooms[0] for each in imports() if each.rooms[1] == "apps"}
    assert importers <= {"apps", "cli", *DOORS}


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
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    folders = {
        path.relative_to(ROOT / "tests").parts[0] for path in ROOT.glob("tests/*/**/test_*.py")
    }
    assert folders == {*rooms, "contract", "torture"}

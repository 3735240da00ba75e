"""Order of the rooms of `outliers_bench/`, their imports, and the drawing in docs/design.md.

python -m tests.architecture
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "outliers_bench"
PAGE = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- drawing: python -m tests.architecture -->", "<!-- /drawing -->"

# Lowest first. A room imports from the floors below it, never from its own floor or one above.
FLOORS = (
    ("errors", "version"),
    ("types", "runtime"),
    ("store", "evaluation", "web"),
    ("data",),
    ("duplicates", "engines", "retrieval"),
    ("leakage", "models"),
    ("features", "result"),
    ("training", "ensemble", "reports"),
    ("keypoints",),
    ("methods",),
    ("config",),
    ("tracking",),
    ("leaderboard", "serving"),
    ("benchmark",),
    ("recorded_run", "apps"),
    ("sweeps", "api"),
    ("cli",),
    (
        "__init__",
        "__main__",
        "search",
        "submit",
        "competition",
        "collect",
        "clean",
        "datasets",
        "cache",
    ),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
DOORS = FLOORS[-1]  # nothing in them but a call


class Import(NamedTuple):
    """One import of one module by another, both as dotted names without the package's."""

    module: str
    imported: str
    line: int

    @property
    def rooms(self) -> tuple[str, str]:
        return room_of(self.module), room_of(self.imported)


def modules() -> dict[str, Path]:
    """All modules of the package by dotted name; a package's `__init__` is named like it."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


def _names_module(value: object, known: dict[str, Path]) -> bool:
    """Check whether a string is the dotted name of a module, or of something in one."""
    if not isinstance(value, str) or not re.fullmatch(rf"{PACKAGE.name}(\.\w+)+", value):
        return False
    name = value.removeprefix(f"{PACKAGE.name}.")
    return name in known or name.rpartition(".")[0] in known


def room_of(module: str) -> str:
    return module.partition(".")[0]


def imports() -> Iterator[Import]:
    """Every import within the package, also in functions, under TYPE_CHECKING, and by a string."""
    known = modules()
    for module, path in known.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                named = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Constant) and _names_module(node.value, known):
                named = [node.value]  # imported by its name
            elif isinstance(node, ast.ImportFrom):
                raise ValueError(f"{path}:{node.lineno}: a relative import")
            else:
                continue
            for name in named:
                package, _, rest = name.partition(".")
                if package != PACKAGE.name:
                    continue
                while rest and rest not in known:  # a name in a module
                    rest = rest.rpartition(".")[0]
                yield Import(module, rest or "__init__", node.lineno)


def circles() -> list[set[str]]:
    """Groups of modules that import each other, directly or around a corner."""
    after = defaultdict(set)
    for each in imports():
        after[each.module].add(each.imported)

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(after[start])
        while todo:
            if (module := todo.pop()) not in seen:
                seen.add(module)
                todo += after[module]
        return seen

    reach = {module: reachable(module) for module in modules()}
    circle = {m: {n for n in reach[m] if m in reach[n]} for m in reach if m in reach[m]}
    return [set(each) for each in sorted({tuple(sorted(each)) for each in circle.values()})]


def drawing() -> str:
    """The rooms as a Mermaid graph, floors from top to bottom.

    An arrow that a longer way implies is left out: what is drawn is the transitive reduction.
    """
    below = defaultdict(set)
    for each in imports():
        room, imported = each.rooms
        if room != imported and room not in DOORS and imported not in ("errors", "version"):
            below[room].add(imported)

    def reachable(room: str) -> set[str]:
        return set().union(*({other, *reachable(other)} for other in below[room]))

    lines = ["```mermaid", "graph TD"]
    lines += [f'  {room}["{_label(room)}"]' for floor in FLOORS[-2:0:-1] for room in floor]
    for room in sorted(below, key=lambda each: (-FLOOR[each], each)):
        implied = set().union(*(reachable(other) for other in below[room]))
        direct = sorted(below[room] - implied, key=lambda each: (-FLOOR[each], each))
        if direct:
            lines.append(f"  {room} --> {' & '.join(direct)}")
    return "\n".join([*lines, "```"])


def _label(room: str) -> str:
    return f"{room}/" if (PACKAGE / room).is_dir() else f"{room}.py"


def page_with(text: str) -> str:
    """docs/design.md with this drawing in it."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with(drawing()))
    rooms, floors = len(FLOOR) - len(DOORS), len(FLOORS)
    print(f"{rooms} rooms on {floors} floors, {len(modules())} modules, {len(circles())} circles")

"""Commands in README and docs/: what they name is there, and every option composes."""

import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from outliers_bench.cli.commands import COMMANDS
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register
from tests.fresh import blocks, commands

REPOSITORY = Path(__file__).parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
TARGETS = re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


def commands_of(page: Path) -> list[str]:
    """Every command of a page, those within a line as well."""
    text = page.read_text()
    lines = [line for block in blocks(text.replace("\\\n", " ")) for line in block]
    starts = ("make ", "python ", "pip ", ". ")
    lines += [found for found in re.findall(r"`([^`\n]+)`", text) if found.startswith(starts)]
    return lines


def name_of(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_command_names_is_there(page):
    for command in commands_of(page):
        words = shlex.split(command)
        match words:
            case ["make", target, *_]:
                assert target in TARGETS, command
            case ["python", "-m", module, *_]:
                assert find_spec(module), command
            case ["pip", "install", "-e", what]:
                assert re.fullmatch(r"\.\[(\w+)\]", what)[1] in EXTRAS, command
            case ["pip" | "python", *_]:
                pytest.fail(f"{command}: neither a module nor an extra of this checkout")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.extra("sweep")] * ("hydra/" in str(commands_of(page))))
        for page in PAGES
    ],
    ids=name_of,
)
def test_every_option_of_a_run_composes(page):
    register()
    parser = OverridesParser.create()
    for command in commands_of(page):
        words = shlex.split(command)
        if words[:3] != ["python", "-m", "outliers_bench"] or {*words[3:4]} & {*COMMANDS}:
            continue
        # Which files a pattern stands for is tried where each of them is composed.
        words = [word for word in words[3:] if not word.startswith("-") and "glob(" not in word]
        first = [
            f"{each.key_or_group}={next(each.sweep_string_iterator())}"
            if each.is_sweep_override()
            else each.input_line
            for each in parser.parse_overrides(words)
        ]
        with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
            assert compose("config", first), command


def test_commands_are_found():
    assert sum(len(commands_of(page)) for page in PAGES) > 100
    assert "python -m benchmarks.indexes" in commands_of(REPOSITORY / "docs" / "retrieval.md")


def test_readme_begins_with_what_a_newcomer_types():
    """`make fresh` types these, in a shell in which nothing was activated."""
    two, more = (found := commands(PAGES[0].read_text()))[:2], found[2:]
    assert two == ["make demo", "make test"]
    assert len(more) >= 5
    assert all(command.startswith(". .venv/bin/activate\npython -m ") for command in more)

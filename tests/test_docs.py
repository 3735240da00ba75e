"""Commands in README and docs/: modules, make targets and extras exist, and options compose."""

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
from outliers_bench.config.text_options import to_hydra
from tests.fresh import blocks, commands

REPOSITORY = Path(__file__).parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
TARGETS = re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


def commands_of(page: Path) -> list[str]:
    """List the commands of a page, in blocks and within lines."""
    text = page.read_text()
    lines = [line for block in blocks(text.replace("\\\n", " ")) for line in block]
    starts = ("make ", "python ", "pip ", ". ")
    lines += [code for code in re.findall(r"`([^`\n]+)`", text) if code.startswith(starts)]
    return lines


def name_of(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_name_existing_targets_modules_and_extras(page):
    for command in commands_of(page):
        words = shlex.split(command)
        match words:
            case ["make", target, *_]:
                assert target in TARGETS, command
            case ["python", "-m", module, *_]:
                assert find_spec(module), command
            case ["pip", "install", "-e", target]:
                assert re.fullmatch(r"\.\[(\w+)\]", target)[1] in EXTRAS, command
            case ["pip" | "python", *_]:
                pytest.fail(f"{command}: neither a module nor an extra of this checkout")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page, marks=[pytest.mark.extra("sweep")] * ("hydra/" in str(commands_of(page)))
        )
        for page in PAGES
    ],
    ids=name_of,
)
def test_options_of_runs_compose(page):
    register()
    parser = OverridesParser.create()
    for command in commands_of(page):
        words = shlex.split(command)
        if words[:3] != ["python", "-m", "outliers_bench"] or {*words[3:4]} & {*COMMANDS}:
            continue
        # The files that a pattern matches are tested in config/test_experiments.py.
        multirun = "-m" in words
        words = [word for word in words[3:] if not word.startswith("-") and "glob(" not in word]
        words = to_hydra(words, multirun=multirun)
        first = [
            f"{each.key_or_group}={next(each.sweep_string_iterator())}"
            if each.is_sweep_override()
            else each.input_line
            for each in parser.parse_overrides(words)
        ]
        with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
            assert compose("config", first), command


def test_commands_of_pages():
    assert sum(len(commands_of(page)) for page in PAGES) > 100
    assert "python -m benchmarks.indexes" in commands_of(REPOSITORY / "docs" / "retrieval.md")


def test_readme_commands_of_a_new_user():
    """`make fresh` runs these, in a shell without an activated environment."""
    all_commands = commands(PAGES[0].read_text())
    make_commands, activated = all_commands[:2], all_commands[2:]
    assert make_commands == ["make demo", "make test"]
    assert len(activated) >= 5
    assert all(command.startswith(". .venv/bin/activate\npython -m ") for command in activated)

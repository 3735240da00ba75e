"""Command lines other than a run: Hydra-like options, one-line errors, help from docstrings."""

import subprocess
import sys
from dataclasses import dataclass, field
from enum import Enum

import pytest
from omegaconf import MISSING

from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import help_page, main, parse

PROGRAM = "python -m feed"


class Food(Enum):
    hay = "hay"
    fish = "fish"


@dataclass
class Feed:
    """Feed animals.

    Parameters
    ----------
    keeper : str
        Name of
        the keeper.
    animals : list of str
        Animals to feed.
    """

    keeper: str = MISSING
    animals: list[str] = field(default_factory=list)
    food: Food = Food.hay
    times: int = 2
    kilos: float | None = None
    note: str | None = None


def parse_feed(*arguments):
    return parse(Feed, arguments, program=PROGRAM, positional="animals")


def test_options_positional_arguments_and_defaults() -> None:
    feed = parse_feed("lion", "keeper=0012", "food=fish", "kilos=2", "sea/lion", "note=1e5")
    assert feed == Feed("0012", ["lion", "sea/lion"], Food.fish, 2, 2.0, "1e5")
    assert parse_feed("keeper=a=b", "animals=[x,y]", "z").animals == ["x", "y", "z"]
    assert (
        parse_feed("keeper=a", "animals=x,y").animals
        == parse_feed("keeper=a", "animals=[x,y]").animals
    )
    assert parse_feed("keeper=a", "animals=x").animals == ["x"]
    assert parse_feed("keeper=a", "note=null").note is None


TYPED = (
    *("2023.10", "1e5", "true", "[x]", "{a: 1}", "a, b", "${oc.env:HOME}", r"\${x}", "${", "a: b"),
    *("Anna's", " a ", "'", "~/x", "C:\\", "a=b", "*x", "&x", "#x", "Löwen", "🦁", ""),
)


@pytest.mark.parametrize("text", TYPED)
def test_text_is_what_was_typed(text) -> None:
    assert parse_feed(f"keeper={text}").keeper == text
    assert parse_feed("keeper=x", f"note={text}").note == text
    assert parse_feed(f"keeper='{text}'").keeper == text or "'" in text or text.endswith("\\")
    assert parse_feed("keeper=x", f"./{text}").animals == [f"./{text}"]


def test_lists_of_text() -> None:
    for typed in ("[1.0,2e3, 'a, b',${x}]", "1.0,2e3,'a, b',${x}"):
        animals = parse_feed("keeper=x", f"animals={typed}", "./${y}").animals
        assert animals == ["1.0", "2e3", "a, b", "${x}", "./${y}"]
    assert parse_feed("keeper='null'", "animals=").keeper == "null"
    with pytest.raises(BenchError, match=r"^animals: a value between two commas is empty$"):
        parse_feed("keeper=x", "animals=a,,b")


def test_urls_and_files_may_contain_an_equals_sign(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.jpg").touch()
    assert parse_feed("keeper=x", "https://zoo.example/?n=1", "a=b.jpg").animals == [
        "https://zoo.example/?n=1",
        "a=b.jpg",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["keeper=x", "tims=3"], r"tims: no such option; did you mean times\? "),
        (
            ["keeper=x", "--times", "3"],
            r"--times: options are given without dashes, as times=",
        ),
        (["keeper=x", "times=often"], r"times=often: .*Integer"),
        (["keeper=x", "times=null"], r"times=null: null is no value here"),
        (["keeper=x", "food=stone"], r"food=stone: .*\[hay, fish\]"),
        (["keeper=x", "keeper=y"], "keeper is given twice: keeper=x and keeper=y"),
        ([], r"keeper is missing: give it as keeper=<value>; see python -m feed --help"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys) -> None:
    with pytest.raises(BenchError, match=message):
        parse_feed(*arguments)
    options = {"program": PROGRAM, "positional": "animals", "arguments": arguments}
    assert main(Feed, lambda _: None, **options) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_closed_output_gives_no_traceback() -> None:
    code = (
        "import sys; from tests.runtime.test_command_line import *; "
        "sys.exit(main(Feed, print_much, program='x'))"
    )
    command = [sys.executable, "-c", code, "keeper=a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def print_much(_):
    for _ in range(100_000):
        print("more")


def test_positional_argument_is_an_error_without_a_field() -> None:
    with pytest.raises(BenchError, match="lion: no such option"):
        parse(Feed, ["keeper=x", "lion"], program=PROGRAM)


def test_exit_codes(capsys) -> None:
    def interrupted(_):
        raise KeyboardInterrupt

    arguments = ["keeper=x"]
    assert main(Feed, lambda _: None, program=PROGRAM, arguments=arguments) == 0
    assert main(Feed, lambda _: 1, program=PROGRAM, arguments=arguments) == 1
    assert main(Feed, interrupted, program=PROGRAM, arguments=arguments) == 130
    assert "continues from there" in capsys.readouterr().err


def test_help_comes_from_the_docstring(capsys) -> None:
    assert main(Feed, fail_if_called, program=PROGRAM, arguments=["-h"]) == 0
    text = capsys.readouterr().out
    assert "usage: python -m feed keeper=..." in text
    assert "Feed animals." in text
    assert "Name of the keeper." in text
    assert "  times=2\n" in text
    assert "  food=hay\n" in text
    assert "  note=null\n" in text
    assert "ANIMALS..." in help_page(Feed, program=PROGRAM, positional="animals")


def fail_if_called(_):
    raise AssertionError("help does not run the command")

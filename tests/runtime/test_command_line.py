"""Commands beside a run: options as in Hydra, one line a mistake, help from the docstring."""

import subprocess
import sys
from dataclasses import dataclass, field
from enum import Enum

import pytest
from omegaconf import MISSING

from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main, help_page, parse

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
        Who feeds them,
        by name.
    animals : list of str
        Which.
    """

    keeper: str = MISSING
    animals: list[str] = field(default_factory=list)
    food: Food = Food.hay
    times: int = 2
    kilos: float | None = None
    note: str | None = None


def words(*given):
    return parse(Feed, given, program=PROGRAM, positional="animals")


def test_options_words_and_defaults() -> None:
    feed = words("lion", "keeper=0012", "food=fish", "kilos=2", "sea/lion", "note=1e5")
    assert feed == Feed("0012", ["lion", "sea/lion"], Food.fish, 2, 2.0, "1e5")
    assert words("keeper=a=b", "animals=[x,y]", "z").animals == ["x", "y", "z"]
    assert words("keeper=a", "animals=x,y").animals == words("keeper=a", "animals=[x,y]").animals
    assert words("keeper=a", "animals=x").animals == ["x"]
    assert words("keeper=a", "note=null").note is None


def test_an_address_or_a_file_may_hold_an_equals_sign(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.jpg").touch()
    assert words("keeper=x", "https://zoo.example/?n=1", "a=b.jpg").animals == [
        "https://zoo.example/?n=1",
        "a=b.jpg",
    ]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["keeper=x", "tims=3"], r"tims=3: no such option; did you mean times=<value>\? "),
        (
            ["keeper=x", "--times", "3"],
            r"--times: options are given without dashes, as times=",
        ),
        (["keeper=x", "times=often"], r"times=often: .*Integer"),
        (["keeper=x", "times=null"], r"times=null: .*Optional"),
        (["keeper=x", "food=stone"], r"food=stone: .*\[hay, fish\]"),
        (["keeper=x", "keeper=y"], "keeper is given twice: keeper=x and keeper=y"),
        ([], r"keeper is missing: give it as keeper=<value>; see python -m feed --help"),
    ],
)
def test_a_mistake_is_one_line(given, told, capsys) -> None:
    with pytest.raises(BenchError, match=told):
        words(*given)
    assert main(Feed, lambda _: None, program=PROGRAM, positional="animals", arguments=given) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_whoever_stops_reading_gets_no_traceback() -> None:
    code = "from tests.runtime.test_command_line import *; sys.exit(main(Feed, wordy, program='x'))"
    command = [sys.executable, "-c", f"import sys; {code}", "keeper=a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def wordy(_):
    for _ in range(100_000):
        print("more")


def test_a_word_where_none_is_wanted() -> None:
    with pytest.raises(BenchError, match="lion: no such option"):
        parse(Feed, ["keeper=x", "lion"], program=PROGRAM)


def test_exit_codes(capsys) -> None:
    def interrupted(_):
        raise KeyboardInterrupt

    given = ["keeper=x"]
    assert main(Feed, lambda _: None, program=PROGRAM, arguments=given) == 0
    assert main(Feed, lambda _: 1, program=PROGRAM, arguments=given) == 1
    assert main(Feed, interrupted, program=PROGRAM, arguments=given) == 130
    assert "continues from there" in capsys.readouterr().err


def test_help_says_what_the_docstring_says(capsys) -> None:
    assert main(Feed, interrupted_if_called, program=PROGRAM, arguments=["-h"]) == 0
    told = capsys.readouterr().out
    assert "usage: python -m feed keeper=..." in told
    assert "Feed animals." in told
    assert "Who feeds them, by name." in told
    assert "  times=2\n" in told
    assert "  food=hay\n" in told
    assert "  note=null\n" in told
    assert "ANIMALS..." in help_page(Feed, program=PROGRAM, positional="animals")


def interrupted_if_called(_):
    raise AssertionError("help does no work")

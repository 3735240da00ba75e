"""`make table`: what it hands to the command line, whatever stands in its variables."""

import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

REPOSITORY = Path(__file__).parent.parent
PYTHON = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done >> "$(dirname "$0")/words"
echo . >> "$(dirname "$0")/words"
"""


@pytest.fixture
def make(tmp_path):
    """Calls make with a Python that only writes down its arguments: the words of each call."""
    folder = tmp_path / "venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").write_text(PYTHON)
    (folder / "python").chmod(0o755)
    ready = folder.parent / ".ready"
    ready.touch()

    def call(*arguments):
        venv = [f"--old-file={ready}", f"VENV={folder.parent}"]
        done = subprocess.run(
            ["make", *venv, *arguments],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        words = folder / "words"
        calls = words.read_text().split("\n.\n")[:-1] if words.exists() else []
        return done, [called.split("\n") for called in calls]

    return call


def value_of(option, words):
    overrides = OverridesParser.create().parse_overrides([w for w in words if "=" in w])
    (value,) = [o.value() for o in overrides if o.key_or_group == option]
    return str(value)


def test_make_table(make, tmp_path):
    done, (sweep, board) = make(
        "table", "NAME=models_we_built", f"DATA={tmp_path}", "ARGS=seed=1 'k=[1, 5]'"
    )
    assert done.returncode == 0
    start = ["-m", "outliers_bench", "-m", "+experiments/models_we_built=glob(*)"]
    assert sweep == [
        *start,
        "skip_finished=true",
        "data=folder",
        f"data.root={tmp_path}",
        "seed=1",
        "k=[1, 5]",
    ]
    assert board == ["-m", "outliers_bench.leaderboard", "table=models_we_built"]


@pytest.mark.parametrize(
    "name", ["it's", 'my "best", 2024', "a$HOME", "`id`", "$(touch x)", "$(error x)", "a;b & #c"]
)
def test_a_folder_may_have_any_name(make, tmp_path, name):
    folder = tmp_path / name
    (folder / "query").mkdir(parents=True)
    done, (sweep, _) = make("table", "NAME=models_we_built", f"DATA={folder}")
    assert done.returncode == 0, done.stderr
    assert value_of("data", sweep) == "prepared"
    assert value_of("data.root", sweep) == str(folder)


def test_runs_and_comparison_are_in_one_place(make):
    uri = "sqlite:///it's mine.db"
    _, (sweep, board) = make("table", "NAME=models_we_built", f"URI={uri}")
    assert value_of("tracking.uri", sweep) == uri
    assert f"uri={uri}" in board


@pytest.mark.parametrize("arguments", ["tracking.uri=sqlite:///x.db", "seed=1 tracking=server"])
def test_another_place_for_the_runs_alone_is_refused(make, arguments):
    done, calls = make("table", "NAME=models_we_built", f"ARGS={arguments}")
    assert (done.returncode, calls) == (2, [])
    assert "give it as URI=" in done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["NAME=models"], ["NAME=models_we_built pretrained_comparison"]]
)
def test_make_table_without_one_table_names_them(make, arguments):
    done, calls = make("table", *arguments)
    assert (done.returncode, calls) == (2, [])
    assert "there is: efficientnetb7_tuning models_we_built pretrained_comparison" in done.stderr

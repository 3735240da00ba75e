"""`make table`: arguments passed to the command line, for any values of its variables."""

import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

REPOSITORY = Path(__file__).parent.parent
PYTHON = """#!/bin/sh
for argument; do printf '%s\\n' "$argument"; done >> "$(dirname "$0")/arguments"
echo . >> "$(dirname "$0")/arguments"
"""


@pytest.fixture
def make(tmp_path):
    """Call make with a Python that only records its arguments; return the arguments per call."""
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
        record = folder / "arguments"
        calls = record.read_text().split("\n.\n")[:-1] if record.exists() else []
        return done, [arguments.split("\n") for arguments in calls]

    return call


def value_of(option, arguments):
    overrides = OverridesParser.create().parse_overrides([a for a in arguments if "=" in a])
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
def test_folder_may_have_any_name(make, tmp_path, name):
    folder = tmp_path / name
    (folder / "query").mkdir(parents=True)
    done, (sweep, _) = make("table", "NAME=models_we_built", f"DATA={folder}")
    assert done.returncode == 0, done.stderr
    assert value_of("data", sweep) == "prepared"
    assert value_of("data.root", sweep) == str(folder)


def test_runs_and_leaderboard_use_the_same_store(make):
    uri = "sqlite:///it's mine.db"
    _, (sweep, board) = make("table", "NAME=models_we_built", f"URI={uri}")
    assert value_of("tracking.uri", sweep) == uri
    assert f"uri={uri}" in board


@pytest.mark.parametrize("arguments", ["tracking.uri=sqlite:///x.db", "seed=1 tracking=server"])
def test_store_of_the_runs_alone_is_an_error(make, arguments):
    done, calls = make("table", "NAME=models_we_built", f"ARGS={arguments}")
    assert (done.returncode, calls) == (2, [])
    assert "give it as URI=" in done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["NAME=models"], ["NAME=models_we_built pretrained_comparison"]]
)
def test_make_table_without_a_valid_name_lists_the_tables(make, arguments):
    done, calls = make("table", *arguments)
    assert (done.returncode, calls) == (2, [])
    assert "available: efficientnetb7_tuning models_we_built pretrained_comparison" in done.stderr

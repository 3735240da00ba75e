"""Commands that are printed work as they stand, wherever and however the program was called."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from outliers_bench import invocation
from outliers_bench.invocation import as_called, install, open_store
from tests.cli import bench

REPOSITORY = Path(__file__).parent.parent


@pytest.mark.parametrize("called", ["python", ".venv/bin/python", "/my envs/bin/python3"])
def test_commands_begin_with_the_python_that_was_called(monkeypatch, called):
    monkeypatch.setattr(sys, "orig_argv", [called, "-m", "outliers_bench"])
    python = shlex.quote(called)
    text = "see {0} -m outliers_bench --help, or {0} -m pip; a python -more is none"
    assert as_called(text.format("python")) == text.format(python)


def test_an_extra_is_installed_by_the_names_of_its_packages(monkeypatch):
    words = shlex.split(install("sweep"))
    assert words[:4] == ["python", "-m", "pip", "install"]
    names = [re.match(r"[\w-]+", word)[0] for word in words[4:]]
    assert names == ["hydra-joblib-launcher", "hydra-optuna-sweeper"]
    monkeypatch.setattr(invocation, "requirements", lambda _: [])  # never installed
    assert shlex.split(install("sweep"))[4:] == ["-e", f"{REPOSITORY}[sweep]"]


def test_a_store_is_opened_from_where_the_user_stands(monkeypatch, tmp_path):
    assert open_store("https://mlflow.example") == "https://mlflow.example"
    monkeypatch.chdir(REPOSITORY)
    default = f"sqlite:///{REPOSITORY}/mlflow.db"
    assert open_store(default) == "make ui"
    monkeypatch.chdir(tmp_path)
    command = "python -m mlflow ui --backend-store-uri {} --host 127.0.0.1"
    assert open_store(default) == command.format(default)
    assert open_store("sqlite:////a b/m.db") == command.format("'sqlite:////a b/m.db'")


def outside(*arguments, cwd, folder):
    """This package under a Python that has nothing but the standard library."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", STARTER, str(folder), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


# `-I -S` leaves site-packages out, and PYTHONPATH with them: the tree is put back, as `-m` does.
STARTER = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
module, sys.argv[:] = sys.argv[2], ["-m", *sys.argv[3:]]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    "module",
    [
        "outliers_bench",
        *(
            f"outliers_bench.{name}"
            for name in ("leaderboard", "search", "submit", "collect", "clean", "competition")
        ),
    ],
)
def test_outside_the_environment_one_line_says_what_to_do(module, tmp_path):
    done = outside(module, "run=last", cwd=tmp_path, folder=REPOSITORY)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert re.match(r"error: this Python \(.*\) lacks hydra, mlflow, tensorflow; ", done.stderr)
    assert re.search(r"; take the environment that has them: .*\. \S+/activate$", done.stderr)
    assert done.stdout == ""


def test_outside_the_environment_the_environment_is_named_if_it_is_there(tmp_path):
    tree = tmp_path / "my tree"
    tree.mkdir()
    (tree / "outliers_bench").symlink_to(REPOSITORY / "outliers_bench")
    code = f"import sys; sys.path.insert(0, {str(tree)!r}); import outliers_bench"
    for made, steps in (
        (False, f"make -C '{tree}' install, then . '{tree}/.venv/bin/activate'"),
        (True, f". '{tree}/.venv/bin/activate'"),
    ):
        if made:
            (tree / ".venv" / "bin").mkdir(parents=True)
            (tree / ".venv" / "bin" / "activate").touch()
        command = [sys.executable, "-I", "-S", "-c", code]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        last = done.stderr.splitlines()[-1]
        assert last.startswith("ImportError: ")
        assert last.endswith(f"take the environment that has them: {steps}")


def test_what_a_mistake_says_can_be_typed(tmp_path):
    """Run as it is printed, by a shell in which nothing is activated."""
    done = bench("run=last", cwd=tmp_path, module="outliers_bench.submit")
    assert done.code == 2
    command = re.search(r"see (\S+ -m \S+ --help)", done.err)[1]
    env = {name: value for name, value in os.environ.items() if name != "PATH"}
    typed = subprocess.run(
        command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert typed.returncode == 0
    assert typed.stdout.startswith("usage: ")

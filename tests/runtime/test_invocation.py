"""Printed commands, which can be typed as they are, for any way to start the program."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from outliers_bench.runtime import invocation
from outliers_bench.runtime.invocation import install_command, ui_command, with_current_python
from tests.command_line import bench
from tests.toys import BARE

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("called", ["python", ".venv/bin/python", "/my envs/bin/python3"])
def test_commands_begin_with_the_current_python(monkeypatch, called):
    monkeypatch.setattr(sys, "orig_argv", [called, "-m", "outliers_bench"])
    python = shlex.quote(called)
    text = "see {0} -m outliers_bench --help, or {0} -m pip; a python -more is none"
    assert with_current_python(text.format("python")) == text.format(python)


def test_install_command_lists_packages(monkeypatch):
    words = shlex.split(install_command("sweep"))
    assert words[:4] == ["python", "-m", "pip", "install"]
    names = [re.match(r"[\w-]+", word)[0] for word in words[4:]]
    assert names == ["hydra-joblib-launcher", "hydra-optuna-sweeper"]
    monkeypatch.setattr(invocation, "requirements", lambda _: [])  # not installed
    assert shlex.split(install_command("sweep"))[4:] == ["-e", f"{REPOSITORY}[sweep]"]


def test_ui_command_depends_on_folder_and_environment(monkeypatch, tmp_path):
    assert ui_command("https://mlflow.example") == "https://mlflow.example"
    monkeypatch.chdir(REPOSITORY)
    default = f"sqlite:///{REPOSITORY}/mlflow.db"
    command = "python -m mlflow ui --backend-store-uri {} --host 127.0.0.1"
    monkeypatch.setattr(sys, "prefix", str(REPOSITORY / ".venv"))
    assert ui_command(default) == "make ui"
    monkeypatch.setattr(sys, "prefix", "/another/environment")
    assert ui_command(default) == command.format(default)
    monkeypatch.setattr(sys, "prefix", str(REPOSITORY / ".venv"))
    monkeypatch.chdir(tmp_path)
    assert ui_command(default) == command.format(default)
    assert ui_command("sqlite:////a b/m.db") == command.format("'sqlite:////a b/m.db'")


def run_outside(*arguments, cwd, folder):
    """Run a module with a Python that has only the standard library."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", STARTER, str(folder), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


# `-I -S` removes site-packages and PYTHONPATH; the source tree is added again, as `-m` does.
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
        "benchmarks",
        "benchmarks.keypoints",
        *(
            f"outliers_bench.{name}"
            for name in ("leaderboard", "search", "submit", "collect", "clean", "competition")
        ),
    ],
)
def test_error_outside_the_environment_is_one_line(module, tmp_path):
    done = run_outside(module, "run=last", cwd=tmp_path, folder=REPOSITORY)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    lacks = r"error: this Python \(.*\) lacks cv2, faiss, hydra, mlflow, openvino, tensorflow; "
    assert re.match(lacks, done.stderr)
    assert re.search(r"; take the environment that has them: .*\. \S+/activate$", done.stderr)
    assert done.stdout == ""


def test_error_outside_the_environment_names_the_checkout(tmp_path):
    tree = tmp_path / "my tree"
    tree.mkdir()
    (tree / "outliers_bench").symlink_to(REPOSITORY / "outliers_bench")
    code = f"import sys; sys.path.insert(0, {str(tree)!r}); import outliers_bench"
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert last.endswith(f"make -C '{tree}' install, then . '{tree}/.venv/bin/activate'")


def test_command_in_an_error_can_be_typed(tmp_path):
    """Run the printed command in a shell without an activated environment."""
    done = bench("run=last", cwd=tmp_path, module="outliers_bench.submit")
    assert done.code == 2
    command = re.search(r"see (\S+ -m \S+ --help)", done.err)[1]
    env = {name: value for name, value in os.environ.items() if name != "PATH"}
    typed = subprocess.run(
        command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert typed.returncode == 0
    assert typed.stdout.startswith("usage: ")


@pytest.mark.parametrize(
    ("module", "arguments", "printed"),
    [
        ("outliers_bench", ["--help"], r"^== Commands: {} -m outliers_bench COMMAND "),
        ("outliers_bench", [*BARE, "index=annoy"], r"^error: .* {} -m pip install "),
        pytest.param(
            "outliers_bench",
            ["-m", *BARE, "index=annoy", "seed=0,1"],
            r"^error .*: .* {} -m pip install ",
            marks=pytest.mark.slow,
        ),
        ("outliers_bench.leaderboard", [], r"^error: no runs yet: .* {} -m outliers_bench"),
        ("outliers_bench.leaderboard", ["--help"], r"^usage: {} -m outliers_bench\.leaderboard"),
        ("outliers_bench.datasets", [], r"^Download in advance: {} -m outliers_bench\.datasets"),
        ("outliers_bench.search", ["photo.jpg"], r"^error: .*{} -m outliers_bench"),
        ("benchmarks", ["--help"], r"^usage: {} -m benchmarks"),
    ],
)
def test_all_commands_print_the_current_python(module, arguments, printed, tmp_path):
    """Run each command in a subprocess, with the extra annoy hidden."""
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "sitecustomize.py").write_text(HIDE_ANNOY)
    search = f"{tmp_path}:{REPOSITORY}"
    done = bench(*arguments, cwd=tmp_path, module=module, PYTHONPATH=search, COLUMNS="200")
    pattern = printed.format(re.escape(sys.executable))
    assert re.search(pattern, done.out + done.err, re.MULTILINE), done.out + done.err


HIDE_ANNOY = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "annoy" else real(name, *rest)
"""

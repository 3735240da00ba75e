"""Help that is quick and complete, and a config tree in which every file composes."""

import re
import subprocess
import sys
import zipfile
from itertools import zip_longest
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from outliers_bench.config import Config, register, shipped, typed
from outliers_bench.errors import BenchError
from outliers_bench.help import config_groups
from outliers_bench.published import read_table, tables
from tests.cli import bench, in_process

HEAVY = {"tensorflow", "keras", "openvino", "mlflow", "pandas", "sklearn", "cv2", "faiss", "PIL"}
REPOSITORY = Path(__file__).parent.parent
NEEDED = {
    "folder": ["data.root=x"],
    "prepared": ["data.root=x"],
    "manifest": ["data.path=x.csv"],
    "random_projection": ["reduce.n=8"],
}


def composed(*overrides: str) -> Config:
    register()
    with initialize_config_dir(str(shipped("conf")), version_base="1.3"):
        return typed(compose("config", list(overrides)))


def options() -> list[dict[str, str]]:
    """Choices that have every file of conf/ in them once: one of each group in a case."""
    groups = [
        [(group, file.stem) for file in files] for group, files in config_groups(shipped("conf"))
    ]
    return [dict(filter(None, choices)) for choices in zip_longest(*groups)]


@pytest.mark.parametrize("choices", options(), ids=lambda choices: choices["model"])
def test_every_option_composes_and_is_typed(choices):
    needed = [word for name in choices.values() for word in NEEDED.get(name, [])]
    config = composed(*(f"{group}={name}" for group, name in choices.items()), *needed)
    assert isinstance(config, Config)
    for group in {"model", "index"} & set(choices):
        # What a model with any backbone is called has the backbone's name in it.
        name = choices[group]
        assert getattr(config, group).name in (name, f"{name}_mobilenet")


@pytest.mark.parametrize(
    "file", sorted(shipped("experiments").glob("*.yaml")), ids=lambda f: f.stem
)
def test_every_experiment_composes_and_is_typed(file):
    """But for the rows of published tables, all of which tests/test_experiments.py composes."""
    assert isinstance(composed(f"+experiments={file.stem}"), Config)


def test_weights_dir_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("OUTLIERS_BENCH_WEIGHTS", str(tmp_path))
    assert composed("model=pixels").weights_dir == str(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(BenchError, match="nowhere: no folder"):
        composed("model=pixels")


def test_help_lists_every_group_and_option(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--help")
    assert done.code == 0
    words = set(re.findall(r"[\w]+", done.out))
    for _, files in config_groups(shipped("conf")):
        assert {file.stem for file in files} <= words
    assert "schema" not in done.out
    assert "+experiments=" in done.out
    for table in tables():
        assert f"+experiments/{table}=" in done.out
        assert {row.row for row in read_table(table)} <= words
    assert "published:" not in done.out, "nothing to choose by itself"
    assert re.search("hydra/sweeper=.*basic, optuna", done.out)
    assert re.search("hydra/launcher=.*basic, joblib", done.out)


def test_help_shows_the_options_of_what_is_chosen(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--help", "index=kd_tree")
    assert "leaf_size: 40" in done.out


def test_help_with_a_row_shows_what_was_published(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--help", "+experiments/models_we_built=sift")
    assert "top_1: 0.192" in done.out


def test_a_misspelt_published_figure_is_refused(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "published.top_2=0.5")
    assert done.code == 2
    assert "published.top_2: no such option" in done.err


def test_published_figures_cannot_be_given(monkeypatch, capsys):
    row = ["published.table=models_we_built", "published.row=sift"]
    done = in_process(monkeypatch, capsys, *row)
    assert done.code == 2
    assert "published is filled in by experiments/ and cannot be given" in done.err
    assert done.err.count("\n") == 1


def test_help_with_a_mistake(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--help", "index=k_tree")
    assert done.code == 2
    assert "did you mean kd_tree?" in done.err


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["model=nope"], ["pca.n=x"]])
def test_answers_without_heavy_imports(arguments, tmp_path):
    done = bench(*arguments, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    imported = set(re.findall(r"\|\s+([\w]+)$", done.err, flags=re.MULTILINE))
    assert "outliers_bench" in imported
    assert not imported & HEAVY
    assert list(tmp_path.iterdir()) == [], "and leaves nothing behind"


def test_cfg_job_prints_the_config(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--cfg", "job", "model=vgg16", "pca.n=500")
    assert done.code == 0
    assert "name: vgg16" in done.out
    assert "'n': 500" in done.out


def completions(line: str) -> list[str]:
    script = Path(sys.executable).parent / "outliers-bench"
    query = [script, "-sc", "query=bash"]
    done = subprocess.run(
        query, env={"COMP_LINE": line}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_tab_completion():
    found = completions("outliers-bench model=mobilenetv")
    assert found == ["model=mobilenetv2", "model=mobilenetv3large", "model=mobilenetv3small"]
    assert completions("outliers-bench model.poo") == ["model.pooling="]


def test_the_wheel_brings_conf_and_experiments(tmp_path):
    """Installed from a wheel, with no checkout in sight, the same options are found."""
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *flags, str(REPOSITORY)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    for folder in ("conf", "experiments"):
        for file in (REPOSITORY / folder).rglob("*.yaml"):
            assert f"outliers_bench/{file.relative_to(REPOSITORY).as_posix()}" in names
    assert "outliers_bench/py.typed" in names
    assert not any(name.startswith("tests/") for name in names)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    arguments = ["+experiments=demo", "model=mobilenetv2", "--cfg", "job"]
    done = bench(*arguments, cwd=elsewhere, PYTHONPATH=str(tmp_path / "site"))
    assert done.code == 0, done.err
    assert "name: mobilenetv2" in done.out

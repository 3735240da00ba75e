"""Help is fast and complete, and every file of the config tree composes."""

import re
import subprocess
import sys
import tarfile
import zipfile
from copy import deepcopy
from itertools import zip_longest
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from outliers_bench.config.paths import config_groups, resource_dir
from outliers_bench.config.published import read_table, tables
from outliers_bench.config.schema import Config, register, to_config
from outliers_bench.errors import BenchError
from tests.command_line import bench, in_process

HEAVY = {"tensorflow", "keras", "openvino", "mlflow", "pandas", "sklearn", "cv2", "faiss", "PIL"}
REPOSITORY = Path(__file__).parents[2]
REQUIRED = {
    "folder": ["data.root=x"],
    "prepared": ["data.root=x"],
    "manifest": ["data.path=x.csv"],
    "random_projection": ["reduce.n=8"],
    "pca": ["reduce.n=8"],
    "embeddings": ["model.file=x.npy"],
}


@pytest.fixture(autouse=True)
def vectors(tmp_path_factory, monkeypatch):
    """File of embeddings, whose existence is checked."""
    folder = tmp_path_factory.mktemp("vectors")
    (folder / "x.npy").touch()
    monkeypatch.chdir(folder)


def composed(*overrides: str) -> Config:
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return to_config(compose("config", list(overrides)))


EXTRA_OF = {
    "annoy": "annoy",
    "efficientnet_lite0": "demo",
    "ensemble": "demo",
    "image_matching": "demo",
    "silhouettes": "demo",
}
GROUPS = {
    group: [file.stem for file in files] for group, files in config_groups(resource_dir("conf"))
}


def choices():
    """Yield choices that cover every file of conf/, one of each group per choice."""
    options = [[(group, name) for name in names] for group, names in GROUPS.items()]
    for row in zip_longest(*options):
        choice = dict(filter(None, row))
        extras = {EXTRA_OF[name] for name in choice.values() if name in EXTRA_OF}
        marks = [pytest.mark.extra(extra) for extra in sorted(extras)]
        yield pytest.param(choice, marks=marks, id=choice["model"])


def required_by(choice: dict[str, str]) -> list[str]:
    return [override for name in choice.values() for override in REQUIRED.get(name, [])]


def check_choice(config: Config, choice: dict[str, str]) -> None:
    assert isinstance(config, Config)
    for group in {"model", "index"} & set(choice):
        # The name of a model with an interchangeable backbone contains that of the backbone.
        name = choice[group]
        assert getattr(config, group).name in (name, f"{name}_mobilenet")


@pytest.fixture(scope="module")
def files():
    """The default config, and every file of conf/ composed at once, in a tenth of the time."""
    register()
    all_files = [(group, name) for group, names in GROUPS.items() for name in names]
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        overrides = [f"+{group}@{group}.{name}={name}" for group, name in all_files]
        return compose("config"), compose(None, overrides)


@pytest.mark.parametrize("choice", choices())
def test_every_file_composes_to_a_typed_config(files, choice):
    defaults, parts = files
    config = deepcopy(defaults)
    for group, name in choice.items():
        part = parts[group][name]
        plain = OmegaConf.get_type(part) is dict  # a group whose schema is in Config
        config[group] = OmegaConf.merge(config[group], part) if plain else part
    for override in required_by(choice):
        OmegaConf.update(config, *override.split("="))
    check_choice(to_config(config), choice)


@pytest.mark.slow
@pytest.mark.parametrize("choice", choices())
def test_every_file_composes_from_the_command_line(choice):
    overrides = [f"{group}={name}" for group, name in choice.items()]
    check_choice(composed(*overrides, *required_by(choice)), choice)


@pytest.mark.extra("demo")
@pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, marks=[pytest.mark.extra("sweep")] * ("hydra/" in file.read_text()))
        for file in sorted(resource_dir("experiments").glob("*.yaml"))
    ],
    ids=lambda f: f.stem,
)
def test_every_experiment_composes_to_a_typed_config(file):
    """Except for the rows of published tables, which config/test_experiments.py composes."""
    assert isinstance(composed(f"+experiments={file.stem}"), Config)


def test_weights_dir_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("OUTLIERS_BENCH_WEIGHTS", str(tmp_path))
    assert composed("model=pixels").weights_dir == str(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(BenchError, match="nowhere: cannot read this folder"):
        composed("model=pixels")


def test_help_lists_every_group_and_option(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--help")
    assert done.code == 0
    words = set(re.findall(r"[\w]+", done.out))
    for _, files in config_groups(resource_dir("conf")):
        assert {file.stem for file in files} <= words
    assert "schema" not in done.out
    assert "+experiments=" in done.out
    for table in tables():
        assert f"+experiments/{table}=" in done.out
        assert {row.row for row in read_table(table)} <= words
    assert "published:" not in done.out, "not a group to choose from"
    assert re.search("hydra/sweeper=.*basic, optuna", done.out)
    assert re.search("hydra/launcher=.*basic, joblib", done.out)


def test_help_shows_the_options_of_a_choice(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--help", "index=kd_tree")
    assert "leaf_size: 40" in done.out


def test_help_with_a_row_shows_its_published_figures(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--help", "+experiments/models_we_built=sift")
    assert "top_1: 0.192" in done.out


def test_misspelled_published_figure_is_an_error(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "published.top_2=0.5")
    assert done.code == 2
    assert "published.top_2: no such option" in done.err


def test_published_figures_cannot_be_set(monkeypatch, capsys):
    row = ["published.table=models_we_built", "published.row=sift"]
    done = in_process(monkeypatch, capsys, *row)
    assert done.code == 2
    assert "published is filled in by experiments/ and cannot be given" in done.err
    assert done.err.count("\n") == 1


def test_help_with_an_error(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--help", "index=k_tree")
    assert done.code == 2
    assert "did you mean kd_tree?" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["pca.n=x"],
        pytest.param(["--cfg", "job"], marks=pytest.mark.slow),
        pytest.param(["model=nope"], marks=pytest.mark.slow),
    ],
)
def test_no_heavy_imports(arguments, tmp_path):
    done = bench(*arguments, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    imported = set(re.findall(r"\|\s+([\w]+)$", done.err, flags=re.MULTILINE))
    assert "outliers_bench" in imported
    assert not imported & HEAVY
    assert list(tmp_path.iterdir()) == [], "no files are left behind"


def test_cfg_job_prints_the_config(monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "--cfg", "job", "model=vgg16", "pca.n=500")
    assert done.code == 0
    assert "name: vgg16" in done.out
    assert "'n': 500" in done.out


def test_tab_completion():
    script = Path(sys.executable).parent / "outliers-bench"
    env = {"COMP_LINE": "outliers-bench model=mobilenetv"}
    query = [script, "-sc", "query=bash"]
    done = subprocess.run(query, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "model=mobilenetv2",
        "model=mobilenetv3large",
        "model=mobilenetv3small",
    ]


def test_tab_completion_of_an_option(monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", "outliers-bench model.poo")
    done = in_process(monkeypatch, capsys, "-sc", "query=bash")
    assert done.out.split() == ["model.pooling="]


def test_wheel_contains_conf_and_experiments(tmp_path):
    """Compose a config from an installed wheel, without the checkout."""
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


def test_source_distribution_contains_files_of_tests_and_makefile(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, capture_output=True, check=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "tests/test_make.py", "benchmarks/__main__.py", "docs/speed.md"} <= names
    assert not any(name.startswith("benchmarks/results/") for name in names)

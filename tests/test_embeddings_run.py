"""`model=embeddings` through the command line: figures, identity, mistakes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra._internal.hydra import Hydra

from outliers_bench.data.image_files import FileReader
from outliers_bench.data.listing import list_images
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.models.pixels import Pixels
from outliers_bench.tracking import senders
from tests.command_line import in_process
from tests.recorded_runs import recorded_run, run_cli, runs, scores
from tests.toys import write_images


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, empty_database) -> Path:
    """Photos, and the vectors that `model=pixels model.image_size=8` has of them."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "mlflow.db").write_bytes(empty_database.read_bytes())
    write_images(Synthetic(classes=4, individuals=3, images=8, size=32), folder / "photos")
    names, _ = list_images(folder / "photos")
    pixels, reader = Pixels("pixels", 8), FileReader(folder / "photos")
    images = [pixels.prepare(reader.read(name)) for name in names]
    matrix = np.stack(images).reshape(len(names), -1).astype(np.float32) / np.float32(255)
    np.save(folder / "vectors.npy", matrix)
    np.save(folder / "few.npy", matrix[1:])
    np.savez(folder / "vectors.npz", names=names, embeddings=matrix.astype(np.float64))
    frame = pd.DataFrame({"path": names, "vector": list(matrix)})
    frame.sample(frac=1, random_state=0).to_parquet(folder / "vectors.parquet")
    frame.iloc[1:].to_parquet(folder / "missing.parquet")
    return folder


OPTIONS = ("data=folder", "data.root=photos", "k=[1,5]", "pca.n=6", "contact_sheets.queries=0")


@pytest.fixture(scope="module")
def expected(workdir):
    done = run_cli(workdir, *OPTIONS, "model=pixels", "model.image_size=8")
    assert done.code == 0, done.err
    return scores(recorded_run(workdir, done))


@pytest.fixture
def run(workdir, monkeypatch, capsys):
    """Return a function that runs the command line in this process."""
    monkeypatch.chdir(workdir)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(workdir / "cache"))
    return lambda *words: in_process(monkeypatch, capsys, *words)


def test_vectors_from_a_file_score_like_the_model_that_made_them(run, workdir, expected):
    files = ("vectors.parquet", "vectors.npz", "vectors.npy")
    words = ("model=embeddings", f"model.file={','.join(files)}", "model.name=mine")
    done = run("-m", *OPTIONS, *words)
    assert done.code == 0, done.err
    for file in files:
        assert f"mine {file} · PCA 6 · exact · cosine" in done.out
    assert done.out.count("0 computed, 96 reused") == 3
    jobs = runs(workdir, "tags.model = 'mine'")
    assert [scores(each) for each in jobs if each.data.tags["kind"] == "run"] == [expected] * 3


def test_the_same_vectors_elsewhere_are_the_same_run_and_changed_ones_are_not(
    run, workdir, expected
):
    words = (*OPTIONS, "model=embeddings", "skip_finished=true")
    (workdir / "moved").mkdir()
    (workdir / "moved" / "v.npz").write_bytes((workdir / "vectors.npz").read_bytes())
    run(*words, "model.file=vectors.npz")
    assert "finished     already" in run(*words, "model.file=moved/v.npz").out
    names, matrix = np.load(workdir / "vectors.npz").values()
    np.savez(workdir / "moved" / "v.npz", names=names[::-1], embeddings=matrix)
    changed = run(*words, "model.file=moved/v.npz")
    assert "already" not in changed.out
    assert scores(recorded_run(workdir, changed)) != expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.file=missing.parquet"], "model.file=missing.parquet has no vector for 1 of 96"),
        (["model.file=gone.npy"], "model.file=gone.npy: there is no such file"),
        ([], "model.file is missing: give it as model.file=<value>"),
        (["model.file=few.npy"], "model.file=few.npy has 95 rows, and photos has 96 images"),
    ],
)
def test_a_mistake_is_one_line_before_the_work(words, message, run, monkeypatch):
    monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: None)  # composes once more
    monkeypatch.setattr(senders, "announce", lambda *_: None)  # would import MLflow
    done = run(*OPTIONS, "model=embeddings", *words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_the_example_in_the_docs_makes_a_file_for_its_command(workdir, run, tmp_path, monkeypatch):
    page = (Path(__file__).parent.parent / "docs" / "embeddings.md").read_text()
    (script,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (command,) = re.findall(r"^    python -m outliers_bench (.*)$", page, re.MULTILINE)
    shutil.copytree(workdir / "photos", tmp_path / "photos")
    for file in (tmp_path / "photos").rglob("*.png"):
        file.rename(file.with_suffix(".jpg"))
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    command = command.replace("pca.n=256", "pca.n=6").split()
    monkeypatch.chdir(tmp_path)
    done = run(*command, "k=[1]", f"tracking.uri=sqlite:///{workdir}/mlflow.db")
    assert done.code == 0, done.err
    assert "hog hog.parquet · PCA 6" in done.out
    member = "model.members=[pixels,'embeddings file=hog.parquet name=hog']"
    words = ("data=folder", "data.root=photos", "k=[1]", "model=ensemble", member)
    done = run(*words, f"tracking.uri=sqlite:///{workdir}/mlflow.db")
    assert done.code == 0, done.err

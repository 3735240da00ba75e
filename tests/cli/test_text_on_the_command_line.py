"""Folders with names that Hydra takes for numbers, grammar or references: runs, sweeps, repeats."""

import shlex

import cv2
import numpy as np
import pytest

from tests.command_line import bench, in_process
from tests.sweeps.sweep_runs import jobs, parents

# Number of photos of each folder, by which a run shows which one it has read.
FOLDERS = {
    "2023.10": 6,
    "2023.1": 8,
    "x,y": 10,
    "Anna's (1)": 12,
    "${oc.env:HOME}": 14,
}
OPTIONS = ("data=folder", "data.protocol=leave_one_out", "model=pixels", "k=[1]")
OPTIONS = (*OPTIONS, "data.missing_labels=class", "contact_sheets.queries=0")


@pytest.fixture
def workdir(empty_database, tmp_path, monkeypatch):
    """Working directory with the folders and an empty database."""
    rng = np.random.default_rng(0)
    for name, n in FOLDERS.items():
        for i in range(n):
            folder = tmp_path / name / ("ant", "bee")[i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            _, data = cv2.imencode(".png", rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            data.tofile(folder / f"{i}.png")
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "2023.10-cache"))
    return tmp_path


def galleries(done):
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    return [int(line[1]) for line in lines if line[:1] == ["gallery"]]


def root_of(run):
    """The folder of a recorded run, as its recorded command names it."""
    words = shlex.split(run.data.tags["overrides"])
    (root,) = (word for word in words if word.startswith("data.root="))
    return root.removeprefix("data.root=")


@pytest.mark.slow
def test_a_sweep_reads_each_folder_and_its_commands_repeat_the_jobs(workdir, monkeypatch, capsys):
    listed = ",".join(f"'{name}'" if "," in name else name for name in FOLDERS)
    done = bench("-m", *OPTIONS, f"data.root={listed}", cwd=workdir)
    assert galleries(done) == list(FOLDERS.values())
    (sweep,) = parents(workdir)
    assert root_of(sweep) == listed
    runs = {root_of(run): run for run in jobs(workdir)}
    assert set(runs) == {"'x,y'" if "," in name else name for name in FOLDERS}
    words = shlex.split(runs["'x,y'"].data.tags["overrides"])
    again = in_process(monkeypatch, capsys, *words, "skip_finished=true")
    assert again.code == 0, again.err
    assert runs["'x,y'"].info.run_id in again.out


def test_without_m_commas_are_part_of_the_name(workdir, monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, *OPTIONS, "data.root=2023.10,2023.1")
    assert done.code == 2
    looked_for = workdir / "2023.10,2023.1"
    assert done.err == (
        "error: data.root=2023.10,2023.1: there is no such folder "
        f"(looked for {looked_for}); add -m for several values\n"
    )


def test_a_file_that_sweeps(workdir, monkeypatch, capsys):
    """Commas separate the values of its params, and of options next to it."""
    folder = workdir / "mine" / "experiments"
    folder.mkdir(parents=True)
    (folder / "roots.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "      data.root: 2023.10, 'x,y'\n"
    )
    arguments = ["--config-dir", "mine", *OPTIONS, "+experiments=roots", "data.name=1e5,'a,b'"]
    done = in_process(monkeypatch, capsys, *arguments)
    assert galleries(done) == [6, 6, 10, 10]
    names = [line.partition("  on  ")[2] for line in done.out.splitlines() if "  on  " in line]
    assert names == ["1e5", "a,b"] * 2

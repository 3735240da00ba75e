"""docs/api.ipynb: every function of the API on real photos, and the outputs in the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import outliers_bench as ob

PAGE = Path(__file__).parents[2] / "docs" / "api.ipynb"
ANIMALS = ("dalmatian", "elephant", "emu", "flamingo", "ibis", "leopards", "panda", "rhino")
EACH = 24


def lay_out(photos: Path, folder: Path) -> None:
    """Copy the photos of the notebook."""
    for animal in ANIMALS:
        (folder / animal).mkdir(parents=True)
        for photo in sorted((photos / animal).iterdir())[:EACH]:
            shutil.copy(photo, folder / animal)


def execute(folder: Path):
    """Execute the notebook in a folder with `photos/`."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat

    notebook = nbformat.read(PAGE, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
    return notebook


def tables(notebook) -> dict[str, list[str]]:
    """Text of the tables of scores; speeds and pictures depend on the machine."""
    return {
        cell.source: [output.data["text/plain"] for output in cell.outputs if "data" in output]
        for cell in notebook.cells
        if cell.cell_type == "code" and "round(2)" in cell.source
    }


@pytest.mark.slow
def test_the_notebook_runs_and_has_the_outputs_that_it_gives(shared, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    lay_out(shared / "data" / "caltech101_animals", tmp_path / "photos")
    monkeypatch.setenv("OUTLIERS_BENCH_WEIGHTS", str(shared / "weights"))
    stored, executed = nbformat.read(PAGE, as_version=4), execute(tmp_path)
    assert tables(executed) == tables(stored)
    assert len(tables(stored)) >= 7
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert all(output.output_type in ("execute_result", "stream") for output in outputs)
    assert all(output.name == "stdout" for output in outputs if output.output_type == "stream")
    pages = [output.data.get("text/html", "") for output in outputs if "data" in output]
    assert sum("data:image/jpeg;base64" in page for page in pages) == 1


def test_the_notebook_uses_every_function():
    text = PAGE.read_text()
    functions = [name for name in ob.__all__ if name[0].islower() and name[0] != "_"]
    assert len(functions) == 7
    for name in [*functions, "BenchError"]:
        assert f"ob.{name}" in text, name
    for name in ("frame", "metrics", "sheets", "query"):
        assert f".{name}" in text, name
    assert '"outputs": []' not in text

"""Photos and embeddings of the tests of the Python API."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from outliers_bench.data.image_files import FileReader
from outliers_bench.data.listing import list_images
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.models.pixels import Pixels
from tests.toys import write_images


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Folder of four classes with 24 small photos each."""
    folder = tmp_path_factory.mktemp("desk") / "photos"
    write_images(Synthetic(classes=4, individuals=3, images=8, size=32), folder)
    return folder


@pytest.fixture(scope="session")
def table(photos):
    """Path and label of each photo."""
    names, _ = list_images(photos)
    labels = [name.partition("/")[0] for name in names]
    return pd.DataFrame({"path": [str(photos / name) for name in names], "label": labels})


@pytest.fixture(scope="session")
def images(table):
    """The photos, decoded."""
    reader = FileReader(Path())
    return np.stack([reader.read(path) for path in table["path"]])


@pytest.fixture(scope="session")
def matrix(images):
    """Embeddings of the photos by `model=pixels model.image_size=8`."""
    pixels = Pixels("pixels", 8)
    small = np.stack([pixels.prepare(image) for image in images])
    return small.reshape(len(small), -1).astype(np.float32) / np.float32(255)


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """Empty working directory, with a cache elsewhere."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))
    return folder

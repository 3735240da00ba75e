"""One class has one name in every source of labels, whatever its spelling."""

import shutil
import unicodedata

import numpy as np
import pandas as pd
import pytest

import outliers_bench as ob
from outliers_bench.apps.clean.listing import labels_and_parts
from outliers_bench.apps.collect.manifest import Row as CollectedRow
from outliers_bench.apps.collect.url_list import read_url_list
from outliers_bench.apps.competition.dataset import load_competition_data, select_source
from outliers_bench.apps.submit.names import Names
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.in_memory import ImageArrays, InMemory, labels_frame
from outliers_bench.data.labels import MissingLabels
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.named.folders import Caltech101
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.source import LabeledSource
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.errors import BenchError
from tests.toys import write_images

SPELLINGS = (
    "L\u00f6we",
    unicodedata.normalize("NFD", "Löwe"),
    "L\u00f6we ",
    "\u200bLöwe",
    " L\u00f6we",
)
OTHER = "sea lion"
LABELS = [*SPELLINGS, *[OTHER, "sea  lion", "sea\u00a0lion", "sea lion\t", OTHER]]
IMAGES = np.random.default_rng(0).integers(0, 256, (len(LABELS), 9, 9, 3), np.uint8)


def write(root, *, parts=("",)):
    """Ten images as `<part>/<label as spelled>/<number>.png`."""
    source = write_images(Synthetic(classes=1, individuals=2, images=5, size=12), root / "all")
    for number, (file, label) in enumerate(zip(source, LABELS, strict=True)):
        target = root / parts[number % len(parts)] / label / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    shutil.rmtree(root / "all")
    return root


def table(root, *, header=("path", "label"), **columns):
    files = sorted(write(root / "photos").rglob("*.png"), key=lambda file: int(file.stem))
    data = {header[0]: [f"photos/{file.parent.name}/{file.name}" for file in files]}
    return pd.DataFrame({**data, header[1]: LABELS, **columns})


def csv(root):
    table(root).to_csv(root / "table.csv", index=False)
    return Manifest(path=str(root / "table.csv"))


def parquet(root):
    table(root).to_parquet(root / "table.parquet")
    return Manifest(path=str(root / "table.parquet"))


def split_csv(root):
    table(root, split=["query", "gallery"] * 5).to_csv(root / "table.csv", index=False)
    return Manifest(path=str(root / "table.csv"))


def collected(root):
    cells = table(root)
    rows = [
        CollectedRow(path=path, label=label, url=f"http://a/{path}")._asdict()
        for path, label in zip(cells["path"], cells["label"], strict=True)
    ]
    pd.DataFrame(rows).to_csv(root / "collected.csv", index=False)
    return Manifest(path=str(root / "collected.csv"))


SOURCES = {
    "folder": lambda root: ClassFolders(root=str(write(root))),
    "prepared": lambda root: PreparedFolders(root=str(write(root, parts=("query", "gallery")))),
    "csv": csv,
    "parquet": parquet,
    "csv with split": split_csv,
    "collected": collected,
    "DataFrame": lambda root: InMemory.of(
        table(root).assign(path=lambda t: [root / p for p in t["path"]]), LabeledSource()
    ),
    "arrays": lambda root: InMemory.of(
        labels_frame(LABELS, ""), LabeledSource(), ImageArrays(IMAGES)
    ),
    "a named set": lambda root: Caltech101(root=str(write(root))),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_spellings_of_a_class_are_one_class(kind, tmp_path):
    split = SOURCES[kind](tmp_path).load(seed=0, cache=tmp_path / "cache")
    label = "löwe" if kind == "a named set" else "Löwe"
    assert split.gallery.classes == (label, OTHER)
    counts = sum(
        np.bincount(part.labels, minlength=2) for part in (split.train, split.query, split.gallery)
    )
    assert counts.tolist() == [5, 5]


def test_api(tmp_path):
    split = ob.load_split(IMAGES, labels=LABELS, options={"cache.dir": str(tmp_path)})
    assert split.gallery.classes == ("Löwe", OTHER)


def test_competition(tmp_path):
    source = select_source(str(write(tmp_path / "photos", parts=("query", "gallery"))), None)
    data = load_competition_data(source, cache=tmp_path / "cache", names=Names.auto)
    assert data.split.gallery.classes == ("Löwe", OTHER)


def test_cleaning():
    labels = labels_and_parts([f"{label}/{n}.jpg" for n, label in enumerate(LABELS)])
    assert {label for label, _ in labels.values()} == {"Löwe", OTHER}


def test_list_to_collect(tmp_path):
    rows = {"url": [f"http://a/{n}" for n in range(len(LABELS))], "label": LABELS}
    pd.DataFrame(rows).to_csv(tmp_path / "list.csv", index=False)
    images = read_url_list(str(tmp_path / "list.csv"), label=None, license=None)
    assert {image.label for image in images} == {"Löwe", OTHER}


@pytest.mark.parametrize("kind", ["folder", "prepared", "csv", "parquet", "arrays"])
def test_missing_labels_are_refused_or_excluded(kind, tmp_path, monkeypatch):
    labels = [*LABELS[:4], "NA", *LABELS[5:9], "NA"]  # one is a query, one is in the gallery
    monkeypatch.setitem(globals(), "LABELS", labels)
    source = SOURCES[kind](tmp_path)
    with pytest.raises(BenchError, match="2 of 10 images have no label: 2 'NA'"):
        source.load(seed=0, cache=tmp_path / "cache")
    source.missing_labels = MissingLabels.exclude
    split = source.load(seed=0, cache=tmp_path / "cache")
    assert split.gallery.classes == ("Löwe", OTHER)
    assert [item.kind for item in split.left_out] == ["unlabeled"] * 2
    source.missing_labels = MissingLabels["class"]
    assert "NA" in source.load(seed=0, cache=tmp_path / "cache").gallery.classes


def test_competition_without_the_labels_of_some_photos(tmp_path):
    root = write(tmp_path / "photos", parts=("query", "gallery"))
    (root / "gallery" / OTHER).rename(root / "gallery" / "unknown")
    load = {"cache": tmp_path / "cache", "names": Names.auto}
    with pytest.raises(
        BenchError, match=r"or use missing_labels=exclude to .* missing_labels=error$"
    ):
        load_competition_data(select_source(str(root), None), **load)
    data = load_competition_data(select_source(str(root), None, MissingLabels.exclude), **load)
    assert {"5.png", "9.png"} <= set(data.ignored_gallery)
    assert data.split.gallery.classes == ("Löwe", OTHER)

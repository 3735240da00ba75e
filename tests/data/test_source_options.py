"""Options that the data sources share."""

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.silhouettes import Silhouettes
from outliers_bench.data.source import check_unreadable
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.errors import BenchError
from outliers_bench.types import LeftOut
from tests.data.sources import fails, load, manifest


def test_check_unreadable_counts_only_the_unreadable():
    unreadable = [LeftOut(f"{i}.jpg", "unreadable", "is empty") for i in range(5)]
    duplicates = [LeftOut(f"c{i}.jpg", "duplicate", "x") for i in range(50)]
    check_unreadable(unreadable + duplicates, total=500, limit=0.01)
    with pytest.raises(
        BenchError, match=r"5 of 499 images .*\(0\.jpg: is empty; 1\.jpg: is empty; 2.*; \.\.\.\)"
    ):
        check_unreadable(unreadable, total=499, limit=0.01)


@pytest.mark.parametrize(
    ("n_unreadable", "total", "advice"),
    [
        (1, 40, "or allow more with data.max_unreadable=0.025"),
        (1, 3, "or allow more with data.max_unreadable=0.334"),
        (29, 100, "or allow more with data.max_unreadable=0.29"),
        (1, 10**6, "or allow more with data.max_unreadable=0.001"),
        (999, 1000, "or allow more with data.max_unreadable=0.999"),
        (3, 3, "Repair or remove them"),
    ],
)
def test_check_unreadable_suggests_a_share(n_unreadable, total, advice):
    left_out = [LeftOut(f"{i}.jpg", "unreadable", "is empty") for i in range(n_unreadable)]
    with pytest.raises(BenchError) as error:
        check_unreadable(left_out, total=total, limit=0)
    assert str(error.value).endswith(advice)
    if "=" in advice:
        check_unreadable(left_out, total=total, limit=float(advice.rpartition("=")[2]))


def test_check_unreadable_ignores_unsupported_images():
    left_out = [LeftOut(f"{i}.heic", "unsupported", "x") for i in range(90)]
    check_unreadable(left_out, total=100, limit=0)
    left_out.append(LeftOut("0.jpg", "unreadable", "is empty"))
    with pytest.raises(BenchError, match=r"1 of 10 images \(10\.0%\)"):
        check_unreadable(left_out, total=100, limit=0.01)


SOURCES = (ClassFolders, Manifest, PreparedFolders, Silhouettes, Synthetic)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_max_unreadable_out_of_range(source, share, tmp_path):
    # Checked before accessing any file.
    fails(source(max_unreadable=share), tmp_path, rf"data\.max_unreadable={share}: give a share fr")


@pytest.mark.parametrize("source", [ClassFolders, Manifest, Silhouettes, Synthetic])
def test_shares_are_checked_before_accessing_files(source, tmp_path):
    fails(source(train=1.0), tmp_path, r"data\.train=1\.0")
    fails(source(query=0.0), tmp_path, r"data\.query=0\.0")


def test_titles_are_known_without_loading(tmp_path, monkeypatch):
    (tmp_path / "photos.v2").mkdir()
    (tmp_path / "latest").symlink_to("photos.v2")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path / "photos.v2")
    for source in (ClassFolders, PreparedFolders):
        assert source(root="somewhere/photos.v2/").title() == "photos.v2"
        assert source(root=".").title() == "photos.v2"
        assert source(root=str(tmp_path / "latest")).title() == "photos.v2"
        assert source(root="photos", name="mine").title() == "mine"
        for odd in ("/", "", "???", "a\0b/"):
            assert source(root=odd).title() in ("data", "a\0b")
        assert source(root=str(tmp_path / "loop")).title() in ("data", "loop")
        assert source(root="~no-one-of-this-name/x").title() == "x"
        assert source().title() == "data"
    assert Manifest(path="no/such/table.v2.csv").title() == "table.v2"
    assert Manifest().title() == "data"
    assert (Silhouettes().title(), Synthetic().title()) == ("silhouettes", "synthetic")
    assert Synthetic(name="generated").title() == "generated"


@pytest.mark.extra("demo")
def test_split_has_the_title_as_name(photos, table, prepared, tmp_path):
    photos = photos.rename(tmp_path / "photos.v2")
    prepared = prepared.rename(tmp_path / "prepared.v2")
    for source in (
        ClassFolders(root=str(photos)),
        PreparedFolders(root=str(prepared)),
        manifest(table, photos),
        Silhouettes(),
        Synthetic(classes=2, size=2),
    ):
        assert load(source, tmp_path).name == source.title()
    assert ClassFolders(root=str(photos)).title() == "photos.v2"


CONF = Path(__file__).parents[2] / "conf" / "data"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("folder", ClassFolders),
        ("prepared", PreparedFolders),
        ("manifest", Manifest),
        ("silhouettes", Silhouettes),
        ("synthetic", Synthetic),
    ],
)
def test_yaml_has_all_options_with_defaults(name, source):
    written = OmegaConf.load(CONF / f"{name}.yaml")
    assert written.pop("defaults") == [{"/schema/data@_here_": name}, "_self_"]
    schema = OmegaConf.structured(source)
    assert set(written) == set(schema)
    assert OmegaConf.merge(schema, written, {"name": None}) == schema


@pytest.mark.extra("demo")
def test_sources_import_heavy_packages_lazily(photos, tmp_path):
    script = f"""
import sys
from pathlib import Path
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.silhouettes import Silhouettes
from outliers_bench.data.synthetic import Synthetic
heavy = {{"tensorflow", "keras", "cv2", "pandas", "pyarrow", "animal_mnist"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
for source in (ClassFolders(root={str(photos)!r}), Silhouettes(), Synthetic()):
    split = source.load(seed=0, cache=Path({str(tmp_path)!r}))
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
    split.query.read(0)
    heavy.discard("cv2")
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

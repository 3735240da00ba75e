"""Image paths of a table: spellings, and folders that are not where they were."""

import unicodedata

import pytest

from outliers_bench.data.manifest import Manifest
from outliers_bench.data.tables.paths import find_files
from outliers_bench.errors import BenchError
from tests.data.sources import fails, load, manifest


def find(cells, root, *, given=False):
    return find_files(cells, root, "t.csv", given=given)


@pytest.fixture
def root(tmp_path):
    for name in ("a/0.jpg", "a/1.jpg", "b\\2.jpg", " 3.jpg", "a/é.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("a/0.jpg", "a/0.jpg"),
        ("a\\0.jpg", "a/0.jpg"),
        (".\\a\\0.jpg", "./a/0.jpg"),
        ("b\\2.jpg", "b\\2.jpg"),  # a backslash in a file's name
        (" 3.jpg", " 3.jpg"),
        (" a/0.jpg  ", "a/0.jpg"),
        (unicodedata.normalize("NFD", "a/é.jpg"), "a/é.jpg"),
        ("a\\gone.jpg", "a/gone.jpg"),
        ("", ""),
    ],
)
def test_spellings(cell, name, root):
    assert find(["a/0.jpg", cell], root) == ["a/0.jpg", name]


def test_absolute_paths(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root))
    assert find(["~/a/0.jpg"], root) == [str(root / "a/0.jpg")]
    assert find(["a/0.jpg", "~tilde.jpg"], root) == ["a/0.jpg", "~tilde.jpg"]
    absolute = str(root / "a/0.jpg")
    assert find([absolute], root) == [absolute]
    assert find([f"file://{absolute}"], root) == [absolute]


@pytest.mark.parametrize(
    "start", ["/home/ada/photos/", "C:\\Users\\ada\\", "\\\\nas\\share\\", "D:/"]
)
def test_paths_of_another_machine_need_a_root(start, root, caplog):
    separator = "\\" if "\\" in start else "/"
    cells = [f"{start}a{separator}{name}" for name in ("0.jpg", "gone.jpg")]
    with pytest.raises(BenchError, match=r"none of the images exists.*give data\.root=") as error:
        find(cells, root)
    assert str(root / "a/0.jpg") in str(error.value)
    assert find(cells, root, given=True) == ["a/0.jpg", "a/gone.jpg"]
    assert f"{start} is replaced by data.root={root}".replace("\\", "/") in caplog.text
    # Another folder is not guessed.
    mixed = [*cells, f"{start.replace('ada', 'eve').replace('nas', 'x')}a{separator}1.jpg"]
    assert find(mixed, root, given=True)[2] != "a/1.jpg" or start == "D:/"


def test_messages_name_the_folder(root):
    with pytest.raises(
        BenchError, match=r"the first is x/0\.jpg .*Give the folder that the paths are"
    ):
        find(["x/0.jpg"], root)
    with pytest.raises(BenchError, match=f"It is in {root}: give data.root={root}"):
        find(["a/0.jpg"], root / "a", given=True)
    with pytest.raises(BenchError, match=r"/nowhere/x\.jpg.* Give the folder that contains"):
        find(["/nowhere/x.jpg"], root)
    with pytest.raises(BenchError, match=r"There is a/0\.jpg: correct the letter case"):
        find(["A/0.JPG"], root)
    with pytest.raises(BenchError, match=r"There is a/0\.jpg: give the paths with their endings"):
        find(["a/0"], root)
    with pytest.raises(BenchError, match=r"is on the web: download.*outliers_bench\.collect"):
        find(["a/0.jpg", "https://example.org/1.jpg"], root)


def test_table_of_another_machine(table, photos, tmp_path):
    expected = load(manifest(table, photos), tmp_path)
    table["path"] = ["E:\\photos\\" + path.replace("/", "\\") for path in table["path"]]
    file = tmp_path / "elsewhere.csv"
    table.to_csv(file, index=False, sep=";")
    fails(Manifest(path=str(file)), tmp_path, r"the first is E:/photos/class_000")
    split = load(Manifest(path=str(file), root=str(photos)), tmp_path)
    assert split.fingerprint == expected.fingerprint
    assert split.query.names == expected.query.names

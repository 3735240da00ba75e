"""The photos of `python -m benchmarks`: which are taken, and how the limit decodes them."""

from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.options import options
from benchmarks.speed import product
from benchmarks.speed.photos import every, gather, in_class_folders, jpegs
from benchmarks.speed.raw import decoded


def test_photos_are_taken_evenly_or_drawn(tmp_path):
    import cv2

    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    for i in range(9):
        (source / "deep" / f"{i}.JPG").write_bytes(bytes([i]))
    (source / "notes.txt").touch()
    files = gather(jpegs(source), 3, tmp_path / "three")
    assert [file.read_bytes()[0] for file in files] == [0, 4, 8]
    assert len(gather(jpegs(source), 100, tmp_path / "all")) == 9
    drawn = gather([], 12, tmp_path / "drawn")
    assert {cv2.imread(str(file)).shape for file in drawn} == {(200, 300, 3)}
    assert len({file.read_bytes() for file in drawn}) == 12
    assert len({file.parent for file in drawn}) == 10


def test_whole_runs_take_class_folders_as_they_are(tmp_path):
    def taken(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        folder = tmp_path / Path(names[0]).parts[0]
        return in_class_folders(every(folder), folder), len(every(folder))

    assert taken("good/cat/1.jpg", "good/dog/more/2.png", "good/dog/notes.txt") == (True, 2)
    assert taken("one/cat/1.jpg") == (False, 1)
    assert taken("loose/cat/1.jpg", "loose/dog/1.jpg", "loose/2.webp") == (False, 3)
    assert taken("cut/query/1.jpg", "cut/gallery/2.jpg") == (False, 2)


@pytest.mark.parametrize("most", [3, 4])
def test_whole_runs_are_made_of_no_more_photos_than_is_said(most, tmp_path, monkeypatch):
    source = tmp_path / "source"
    for name in ("cat/1.png", "cat/2.jpg", "dog/3.jpg", "dog/4.webp"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    monkeypatch.setattr(bench, "ECONOMY_PHOTOS", most)
    (tmp_path / "work").mkdir()
    setting = bench.prepared(options(["--photos", str(source)]), tmp_path / "work")
    assert len(setting.photos) == 2
    assert setting.root_photos == len(every(setting.root)) == most
    assert (setting.root == source) == (most == 4)
    assert {file.suffix for file in every(setting.root)} >= {".png", ".webp"}


def test_the_limit_decodes_large_photos_as_ours_does(tmp_path, monkeypatch):
    import cv2

    large = tmp_path / "large.jpg"
    cv2.imwrite(str(large), cv2.resize(cv2.imread(str(gather([], 1, tmp_path)[0])), (2880, 1440)))
    shapes, decode = [], cv2.imdecode

    def noted(*arguments):
        image = decode(*arguments)
        shapes.append(image.shape[:2])
        return image

    monkeypatch.setattr(cv2, "imdecode", noted)
    images, seconds = decoded([large], product.squares("mobilenet"))
    assert images.shape == (1, 224, 224, 3)
    assert set(shapes) == {(720, 1440)}  # of 672 pixels that it needs
    assert seconds > 0

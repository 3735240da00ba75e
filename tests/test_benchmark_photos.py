"""Photos of `python -m benchmarks`: their selection, and their decoding for the limit."""

from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.options import parse_options
from benchmarks.speed import product
from benchmarks.speed.openvino_limit import decode_all
from benchmarks.speed.photos import has_class_folders, link_photos, list_all, list_jpegs


def test_photos_are_evenly_spaced_or_generated(tmp_path):
    import cv2

    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    for i in range(9):
        (source / "deep" / f"{i}.JPG").write_bytes(bytes([i]))
    (source / "notes.txt").touch()
    files = link_photos(list_jpegs(source), 3, tmp_path / "three")
    assert [file.read_bytes()[0] for file in files] == [0, 4, 8]
    assert len(link_photos(list_jpegs(source), 100, tmp_path / "all")) == 9
    drawn = link_photos([], 12, tmp_path / "drawn")
    assert {cv2.imread(str(file)).shape for file in drawn} == {(200, 300, 3)}
    assert len({file.read_bytes() for file in drawn}) == 12
    assert len({file.parent for file in drawn}) == 10


def test_class_folders_are_recognized(tmp_path):
    def check(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        folder = tmp_path / Path(names[0]).parts[0]
        return has_class_folders(list_all(folder), folder), len(list_all(folder))

    assert check("good/cat/1.jpg", "good/dog/more/2.png", "good/dog/notes.txt") == (True, 2)
    assert check("one/cat/1.jpg") == (False, 1)
    assert check("loose/cat/1.jpg", "loose/dog/1.jpg", "loose/2.webp") == (False, 3)
    assert check("cut/query/1.jpg", "cut/gallery/2.jpg") == (False, 2)


@pytest.mark.parametrize("most", [3, 4])
def test_sweeps_use_a_limited_number_of_photos(most, tmp_path, monkeypatch):
    source = tmp_path / "source"
    for name in ("cat/1.png", "cat/2.jpg", "dog/3.jpg", "dog/4.webp"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    monkeypatch.setattr(bench, "SWEEP_PHOTOS", most)
    (tmp_path / "work").mkdir()
    settings = bench.prepare(parse_options(["--photos", str(source)]), tmp_path / "work")
    assert len(settings.photos) == 2
    assert settings.root_photos == len(list_all(settings.root)) == most
    assert (settings.root == source) == (most == 4)
    assert {file.suffix for file in list_all(settings.root)} >= {".png", ".webp"}


def test_limit_decodes_large_photos_at_a_reduced_size(tmp_path, monkeypatch):
    import cv2
    import simplejpeg

    large = tmp_path / "large.jpg"
    cv2.imwrite(
        str(large), cv2.resize(cv2.imread(str(link_photos([], 1, tmp_path)[0])), (2880, 1440))
    )
    shapes, decode = [], simplejpeg.decode_jpeg

    def recorded(*arguments, **options):
        image = decode(*arguments, **options)
        shapes.append(image.shape[:2])
        return image

    monkeypatch.setattr(simplejpeg, "decode_jpeg", recorded)
    images, seconds = decode_all([large], product.image_loader("mobilenet"))
    assert images.shape == (1, 224, 224, 3)
    assert set(shapes) == {(720, 1440)}, "the smallest reduction above the 672 pixels needed"
    assert seconds > 0

"""`data=synthetic`: generated images."""

import numpy as np

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.synthetic import Label, Synthetic
from tests.data.sources import fails, load
from tests.toys import write_images


def test_synthetic_images_depend_on_name_and_options(tmp_path):
    source = Synthetic(classes=3, individuals=2, images=2, size=24)
    images = source.all_images()
    assert len(images) == 12
    assert images.names[-1] == "class_002/individual_001/0001"
    for row in (0, 11):
        assert images.read(row).shape == (24, 24, 3)
        np.testing.assert_array_equal(images.read(row), source.all_images().read(row))
    pixels = {images.read(row).tobytes() for row in range(12)}
    assert len(pixels) == len(set(images.digests)) == 12
    # A larger set contains the smaller one; another seed, size, or noise gives other images.
    larger = Synthetic(classes=5, individuals=3, images=4, size=24).all_images()
    assert set(images.digests) < set(larger.digests)
    for other in ({"generator_seed": 1}, {"size": 25}, {"noise": 0.1}):
        options = {"classes": 3, "individuals": 2, "images": 2, "size": 24} | other
        assert not set(images.digests) & set(Synthetic(**options).all_images().digests)


def test_synthetic_labels(tmp_path):
    assert len(load(Synthetic(), tmp_path).train.classes) == 10
    split = load(Synthetic(label=Label.individual), tmp_path)
    assert len(split.train.classes) == 40
    assert split.train.classes[0] == "class_000/individual_000"


def test_synthetic_images_are_of_moderate_difficulty():
    images = Synthetic(classes=8, individuals=2, images=8, size=32).all_images()
    pixels = np.stack([images.read(row).ravel() for row in range(len(images))]).astype(float)
    pixels -= pixels.mean(1, keepdims=True)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    similarity = pixels @ pixels.T
    np.fill_diagonal(similarity, -1)
    hit_rate = (images.labels[similarity.argmax(1)] == images.labels).mean()
    assert 2 / 8 < hit_rate < 0.8


def test_synthetic_files_contain_the_same_images(tmp_path):
    source = Synthetic(classes=2, individuals=1, images=3, size=16)
    files = write_images(source, tmp_path / "files")
    split = load(ClassFolders(root=str(tmp_path / "files")), tmp_path)
    by_name = {name: row for row, name in enumerate(source.all_images().names)}
    for row, name in enumerate(split.train.names):
        image = source.all_images().read(by_name[name.removesuffix(".png")])
        np.testing.assert_array_equal(split.train.read(row), image)
    assert len(files) == 6


def test_synthetic_errors(tmp_path):
    fails(Synthetic(classes=0), tmp_path, r"data\.classes=0: give 1 or more")
    fails(Synthetic(size=-3), tmp_path, r"data\.size=-3: give 1 or more")
    fails(Synthetic(generator_seed=-1), tmp_path, r"data\.generator_seed=-1: give 0 or more")
    fails(Synthetic(noise=2.0), tmp_path, r"data\.noise=2\.0: give a number from 0 to 1")
    fails(Synthetic(classes=1), tmp_path, "all images are of one class")
    load(Synthetic(classes=2, size=1), tmp_path)

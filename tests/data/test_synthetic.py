"""`data=synthetic`: generated images."""

import hashlib

import numpy as np

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.synthetic import Label, Synthetic
from outliers_bench.data.synthetic_encounters import _body
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
    similarity = _similarity(images)
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


def test_digests_of_images_without_encounters_stay_those_of_earlier_versions():
    digests = b"".join(Synthetic().all_images().digests)
    assert hashlib.blake2b(digests, digest_size=8).hexdigest() == "884de3db91753c2f"


def _encounters(**options):
    given = {"individuals": 12, "images": 4, "encounters": 5, "cameras": 3} | options
    return Synthetic(classes=1, size=48, noise=0.03, label=Label.individual, **given)


def test_images_of_encounters_have_columns():
    images = _encounters().all_images()
    columns = images.columns
    assert len(images) == 12 * 5 * 4
    assert images.names[-1] == "class_000/individual_011/encounter_004/0003"
    assert columns["individual"][-1] == "class_000/individual_011"
    assert columns["encounter"][-1] == "class_000/individual_011/encounter_004"
    assert {*columns["camera"]} == {"camera_00", "camera_01", "camera_02"}
    assert columns["time"].dtype == np.dtype("datetime64[s]")
    for encounter in {*columns["encounter"]}:
        rows = columns["encounter"] == encounter
        gaps = np.diff(columns["time"][rows]).astype(int)
        assert ((gaps >= 5) & (gaps <= 19)).all()
        assert len({*columns["camera"][rows]}) == 1
    years = columns["time"].astype("datetime64[Y]").astype(int) + 1970
    assert {*years.tolist()} == {2021, 2022, 2023}
    # A larger set has the same images and more; another number of cameras gives others.
    larger = _encounters(individuals=13, images=5, encounters=6).all_images()
    assert set(images.digests) < set(larger.digests)
    assert not set(images.digests) & set(_encounters(cameras=2).all_images().digests)


def _similarity(images):
    pixels = np.stack([images.read(row).ravel() for row in range(len(images))]).astype(float)
    pixels -= pixels.mean(1, keepdims=True)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    similarity = pixels @ pixels.T
    np.fill_diagonal(similarity, -1)
    return similarity


def test_photos_of_an_encounter_find_each_other_by_what_they_share():
    images = _encounters().all_images()
    similarity = _similarity(images)

    def hit_rate():
        return float((images.labels[similarity.argmax(1)] == images.labels).mean())

    assert hit_rate() > 0.7
    encounters = images.columns["encounter"]
    similarity[encounters[:, None] == encounters[None, :]] = -1
    assert 1 / 24 < hit_rate() < 0.3  # a random photo is of the same individual in 1 of 12


def test_a_coat_changes_over_the_years():
    """The body alone, in one pose: encounters far apart in time are less alike."""
    bodies = [_body(0, 0, 3, age, 64)[..., :3].ravel() for age in (0.0, 0.1, 0.5, 1.0)]
    alike = [float(np.corrcoef(bodies[0], other)[0, 1]) for other in bodies]
    assert alike == sorted(alike, reverse=True)
    assert alike[1] > 0.95
    other = float(np.corrcoef(bodies[0], _body(0, 0, 4, 0.0, 64)[..., :3].ravel())[0, 1])
    assert alike[-1] > other + 0.1


def test_synthetic_errors(tmp_path):
    fails(Synthetic(classes=0), tmp_path, r"data\.classes=0: give 1 or more")
    fails(Synthetic(size=-3), tmp_path, r"data\.size=-3: give 1 or more")
    fails(Synthetic(generator_seed=-1), tmp_path, r"data\.generator_seed=-1: give 0 or more")
    fails(Synthetic(noise=2.0), tmp_path, r"data\.noise=2\.0: give a number from 0 to 1")
    fails(Synthetic(classes=1), tmp_path, "all images are of one class")
    fails(Synthetic(encounters=0), tmp_path, r"data\.encounters=0: give 1 or more")
    fails(Synthetic(cameras=3), tmp_path, r"data\.cameras=3: .* such as data\.encounters=6")
    load(Synthetic(classes=2, size=1), tmp_path)

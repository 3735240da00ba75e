"""Folders of public bug reports."""

import numpy as np
import pytest

import outliers_bench as ob
from outliers_bench.apps.clean.listing import list_files


@pytest.fixture
def score(tmp_path):
    """Run leave-one-out with raw pixels."""

    def score(data, **options):
        options = {"cache.dir": str(tmp_path / "cache"), **options}
        return ob.run(data, model="pixels", protocol="leave_one_out", k=[1], options=options)

    return score


def test_images_under_other_endings(shared, score):
    data = shared / "cases" / "passed-over-images" / "data"
    result = score(data)
    assert result.metrics["queries"] == 13 * 4, "24 under usual endings, 28 under others"
    assert {name.rpartition("/")[2] for name in result.split.gallery.names} >= {
        *("left.mpo", "stereo.jps", "web.pjpeg", "anim.apng", "paint.dib", "page.jpg_large"),
        "noext",
    }
    listing = list_files(data)
    assert (len(listing.photos), listing.others, listing.system) == (52, 0, 0)


def test_thumbnails_of_a_nas(shared, score):
    data = shared / "cases" / "synology-eadir" / "data"
    result = score(data)
    assert (result.metrics["queries"], result.metrics["files_system"]) == (24, 4)
    assert result.metrics["leaks_exact"] == result.metrics["leaks_near"] == 0
    listing = list_files(data)
    assert (len(listing.photos), listing.system) == (24, 4)


def test_a_split_that_others_have_made(shared, score):
    data = shared / "cases" / "train-val-test-root" / "data"
    with pytest.raises(ob.BenchError, match="contains test, train, val, parts of a ready-made spl"):
        score(data)
    result = score(data, **{"data.label_depth": 2})
    assert result.metrics["hit_at_1"] == 1
    assert result.split.gallery.classes == ("c0", "c1", "c2", "c3")
    result = score(data, **{"data.label_depth": 1})
    assert result.metrics["hit_at_1"] == pytest.approx(0.1, abs=0.1), "as seen there"


def test_a_folder_with_other_names_of_query_and_gallery(shared, tmp_path):
    data = shared / "cases" / "train-val-test-root" / "data"
    for name, part in (("Probe", "test"), ("gallery", "train")):
        (tmp_path / name).symlink_to(data / part)
    split = ob.load_split(tmp_path, options={"cache.dir": str(tmp_path / "cache")})
    assert (len(split.query), len(split.gallery)) == (8, 16)
    assert np.unique(split.gallery.labels).tolist() == [0, 1, 2, 3]

"""Ensemble members: written as on a command line, with one-line errors."""

import pytest
from hydra import initialize_config_dir

from outliers_bench.config.paths import resource_dir
from outliers_bench.config.resolve import composer
from outliers_bench.config.schema import register
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError
from outliers_bench.keypoints.options import Verify
from outliers_bench.models.pixels import Pixels


@pytest.fixture(scope="module", autouse=True)
def hydra():
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        yield


def compose(*members):
    return composer({"seed": 5}, resource_dir("conf"))(members, "model.members")


def test_members_get_their_options_and_the_shared_seed():
    pixels, sift, vlad = compose("pixels image_size=8", "sift verify=none", "sift_vlad")
    assert isinstance(pixels, Pixels)
    assert pixels.image_size == 8
    assert sift.verify is Verify.none
    assert vlad.random_seed == 5


def test_quoted_values_may_contain_blanks():
    (backbone,) = compose("mobilenet weights='my weights.h5'")
    assert backbone.weights == "my weights.h5"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("sift verfy=none", r"verfy: no such option; did you mean verify"),
        ("pixels image_size=x", r"image_size=x.*Integer"),
        ("sift verify", r"verify is not an option"),
        (["sift"], "not a model"),
        (" ", "not a model"),
        ("3", "3 is not a model"),
        ("null", "null is not a model"),
        ("../model/pixels", "is not a model"),
        ("sift 'verify", "No closing quotation"),
    ],
)
def test_errors_are_one_line(member, message):
    with pytest.raises(BenchError, match=message) as raised:
        compose(member)
    assert str(raised.value).startswith("model.members, ")
    assert "\n" not in str(raised.value)


def test_labels_are_unique_and_valid_in_mlflow():
    ensemble = Ensemble(members=["a", "b", "c"])
    ensemble.models = compose("pixels name='a b'", "pixels", "pixels")
    assert ensemble.labels == ["a_b_1", "pixels_2", "pixels_3"]

"""Members are written as on a command line; what is wrong with one is told in one line."""

import pytest
from hydra import initialize_config_dir

from outliers_bench.config.paths import resource_dir
from outliers_bench.config.resolve import compose_members
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


def composed(*members):
    return compose_members(
        members, shared={"seed": 5}, conf=resource_dir("conf"), option="model.members"
    )


def test_options_reach_their_member_and_the_seed_all_of_them():
    pixels, sift, vlad = composed("pixels image_size=8", "sift verify=none", "sift_vlad")
    assert isinstance(pixels, Pixels)
    assert pixels.image_size == 8
    assert sift.verify is Verify.none
    assert vlad.random_seed == 5


def test_a_value_may_have_blanks_in_quotes():
    (backbone,) = composed("mobilenet weights='my weights.h5'")
    assert backbone.weights == "my weights.h5"


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("sift verfy=none", r"model\.verfy: no such option; did you mean verify"),
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
def test_mistakes_are_named(member, said):
    with pytest.raises(BenchError, match=said) as raised:
        composed(member)
    assert str(raised.value).startswith("model.members, ")
    assert "\n" not in str(raised.value)


def test_labels_are_fit_for_mlflow_and_never_the_same():
    ensemble = Ensemble(members=["a", "b", "c"])
    ensemble.models = composed("pixels name='a b'", "pixels", "pixels")
    assert ensemble.labels == ["a_b_1", "pixels_2", "pixels_3"]

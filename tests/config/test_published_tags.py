"""Tags that the leaderboard reads: published row, model family, and reason of a failure."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from outliers_bench.config.published import Published, read_table
from outliers_bench.config.published_tags import changes, tags
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError, WeightsUnavailableError
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.models import applications
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.efficientnet_lite0 import EfficientNetLite0
from outliers_bench.models.pixels import Pixels
from outliers_bench.tracking.runs import failure_line
from outliers_bench.training.models import CnnScratch, Transfer

ROW = Published("models_we_built", "sift", "SIFT based model")
TAGS = {"table": "models_we_built", "row": "sift", "published.models_we_built": "sift"}


def test_tags_of_a_row():
    assert tags(ROW) == TAGS
    assert tags(OmegaConf.structured(ROW)) == TAGS
    assert tags(Published()) == {}
    assert tags(OmegaConf.structured(Published())) == {}


@pytest.mark.parametrize(
    "invented",
    [
        ROW,
        replace(read_table("models_we_built")[0], top_1=0.9),
        replace(read_table("models_we_built")[0], table="pretrained_comparison"),
        Published(top_1=0.9),
        Published("..", "demo"),
    ],
)
def test_only_rows_of_published_tables_are_accepted(invented):
    with pytest.raises(BenchError, match="published is filled in by experiments/"):
        invented.check()


@pytest.mark.parametrize(
    ("override", "same_row"),
    [
        ("data=folder", True),
        ("data.root='my, photos'", True),
        ("seed=3", True),
        ("k=[1,5,10,20]", True),
        ("engine.batch_size=16", True),
        ("weights_dir=weights", True),
        ("model.weights=mobilenet.h5", True),
        ("++cache.dir=x", True),
        ("model.weights=random", False),
        ("model.weights='random'", False),
        ("model.weights=runs:/4e9361d1/model", False),
        ("model.weights='models:/mine@best'", False),
        ("published.row=cnn_scratch", False),
        ("model.max_keypoints=100", False),
        ("model=mobilenet", False),
        ("pca.n=64", False),
        ("~rerank", False),
        ("index@other=exact", False),
        ("+experiments=demo", False),
    ],
)
def test_changed_row_has_no_tags(override, same_row):
    overrides = ["+experiments/models_we_built=sift", override]
    assert tags(ROW, overrides) == (TAGS if same_row else {})
    assert (override in changes(overrides)) is not same_row


@pytest.mark.parametrize(
    ("model", "family"),
    [
        (KeypointMatching(name="sift"), "keypoints"),
        (Vlad(name="sift_vlad"), "keypoints"),
        (Backbone("vgg16", 224, "VGG16", 512), "pretrained"),
        (Backbone("vgg16", 224, "VGG16", 512, weights="random"), "baseline"),
        (EfficientNetLite0("image_matching"), "pretrained"),
        (Pixels("pixels", 8), "baseline"),
        (CnnScratch(), "trained"),
        (Transfer(), "trained"),
        (Ensemble(members=["vgg16", "sift"]), "ensemble"),
    ],
)
def test_model_families(model, family):
    assert model.family == family


def test_missing_weights_have_their_own_failure_tag(monkeypatch):
    """The leaderboard recognizes them by the beginning of the tag `failure`."""

    def get_file(origin, download_target):
        raise ConnectionError("no network")

    def unreachable(**options):
        get_file("https://example.org/vgg16.h5", "/models/vgg16.h5")

    keras = SimpleNamespace(applications=SimpleNamespace(VGG16=unreachable))
    monkeypatch.setitem(sys.modules, "keras", keras)
    with pytest.raises(WeightsUnavailableError) as caught:
        applications.build_application("VGG16", 224, pretrained=True)
    line = failure_line(caught.value)
    assert line.startswith("WeightsUnavailableError: model.weights=imagenet: vgg16.h5 is missing")
    assert "weights_dir=<folder>" in line

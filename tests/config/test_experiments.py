"""The published tables: every row is there as it was published, and its run says which it is."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.published import Published, changes, read_table, tables, tags
from outliers_bench.config.schema import register, to_config
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError, WeightsUnavailableError
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.models import applications
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.efficientnet_lite0 import EfficientNetLite0
from outliers_bench.models.pixels import Pixels
from outliers_bench.tracking.params import model_family
from outliers_bench.tracking.runs import failure_line
from outliers_bench.training.models import CnnScratch, Transfer
from tests.toys import toy_split

pytestmark = pytest.mark.extra("demo")  # what a row leaves open is that of the default run
REPOSITORY = Path(__file__).parents[2]
# As they stand in the slides: title, top 1, top 3, top 5, top 10.
SLIDES = {
    "models_we_built": [
        ("SIFT based model", 0.192, 0.5, None, 0.615),
        ("Image matching example", 0.65, None, 0.62, 0.62),
        ("CNN from scratch", 0.33, None, 0.31, 0.4),
        ("Transfer learning on VGG16", 0.4, None, 0.59, 0.597),
        ("Transfer learning on ResNet50", 0.42, None, 0.45, 0.6),
        ("Transfer learning on MobileNet", 0.5, None, 0.62, 0.69),
        ("Transfer learning on ResNet50V2", 0.49, None, 0.5, 0.58),
        ("Transfer learning on EfficientNetV2B3", 0.47, None, 0.57, 0.59),
    ],
    "pretrained_comparison": [
        ("Transfer learning on MobileNet", 0.5, None, 0.62, 0.69),
        ("Transfer learning on ResNet50V2", 0.49, None, 0.5, 0.58),
        ("Xception", 0.51, None, 0.7, 0.72),
        ("VGG16", 0.53, None, 0.56, 0.62),
        ("VGG19", 0.55, None, 0.6, 0.72),
        ("ResNet50V2", 0.58, None, 0.66, 0.7),
        ("ResNet50", 0.54, None, 0.55, 0.59),
        ("InceptionV3", 0.6, None, 0.72, 0.73),
        ("MobileNet", 0.62, None, 0.63, 0.7),
        ("EfficientNetB7", 0.7, None, 0.8, 0.815),
    ],
    "efficientnetb7_tuning": [
        ("batch 8, image 360, n_neighbors 10, PCA 500", 0.7, None, 0.8, 0.815),
        ("batch 8, image 360, n_neighbors 15, PCA 600", 0.72, None, 0.76, 0.8),
        ("batch 5, image 255, n_neighbors 15, PCA 500", 0.707, None, 0.8, 0.815),
        ("batch 5, image 300, n_neighbors 10, PCA 500", 0.73, None, 0.8, 0.83),
    ],
}
# The 33 of the keras.io table of the time, and the seven that have come since.
BACKBONES = """
    xception vgg16 vgg19 resnet50 resnet101 resnet152 resnet50v2 resnet101v2 resnet152v2
    inceptionv3 inceptionresnetv2 mobilenet mobilenetv2 densenet121 densenet169 densenet201
    nasnetmobile nasnetlarge efficientnetb0 efficientnetb1 efficientnetb2 efficientnetb3
    efficientnetb4 efficientnetb5 efficientnetb6 efficientnetb7 efficientnetv2b0
    efficientnetv2b1 efficientnetv2b2 efficientnetv2b3 efficientnetv2s efficientnetv2m
    efficientnetv2l convnexttiny convnextsmall convnextbase convnextlarge convnextxlarge
    mobilenetv3small mobilenetv3large
"""
NATIVE = {"xception": 299, "inceptionv3": 299}  # pixels; the others' is 224
SPLIT = toy_split([0, 1], [0, 1])


register()


def rows():
    return [(table, row.row) for table in SLIDES for row in read_table(table)]


@pytest.fixture(scope="module")
def configs():
    """Every row's config, composed once: a row that does not compose fails all that use them."""
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return {
            (table, row): to_config(compose("config", [f"+experiments/{table}={row}"]))
            for table, row in rows()
        }


@pytest.mark.parametrize("table", SLIDES)
def test_every_row_with_its_published_figures(table):
    found = [(r.title, r.top_1, r.top_3, r.top_5, r.top_10) for r in read_table(table)]
    assert found == SLIDES[table]


def test_tables_and_no_others():
    assert set(tables()) == set(SLIDES)
    with pytest.raises(BenchError, match="there is: efficientnetb7_tuning, models_we_built"):
        read_table("models")


def test_a_row_says_which_it_is_and_can_be_scored_as_published(configs):
    for (table, row), config in configs.items():
        told = config.published
        assert (told.table, told.row) == (table, row)
        assert told.note, "what is taken where the slides are unclear"
        wanted = {1, 5, 10} | ({3} if told.top_3 else set())
        assert wanted <= set(config.k)


def test_tuned_rows_have_their_parameters(configs):
    for row in read_table("efficientnetb7_tuning"):
        config = configs[row.table, row.row]
        neighbors = config.k[-1]
        told = (
            f"batch {config.engine.batch_size}, image {config.model.image_size}, "
            f"n_neighbors {neighbors}, PCA {config.pca.n}"
        )
        assert told == row.title
        assert (config.index.name, config.index.metric.name) == ("kd_tree", "cosine")
        assert config.model.name == "efficientnetb7"


def test_pretrained_rows_are_the_template_with_its_first_parameters(configs):
    names = [row.row for row in read_table("pretrained_comparison")][2:-1]
    assert len(names) == 7
    for name in names:
        config = configs["pretrained_comparison", name]
        assert config.model.keras.lower() == name
        assert (config.model.image_size, config.model.weights) == (
            NATIVE.get(name, 224),
            "imagenet",
        )
        assert (config.pca.n, config.index.name, config.index.metric.name) == (
            100,
            "ball_tree",
            "euclidean",
        )


def test_trained_rows_as_printed(configs):
    cnn = configs["models_we_built", "cnn_scratch"].model
    assert (cnn.image_size, cnn.epochs, cnn.batch_size) == (128, 10, 128)
    for backbone in ("vgg16", "resnet50", "mobilenet", "resnet50v2", "efficientnetv2b3"):
        model = configs["models_we_built", f"transfer_{backbone}"].model
        assert model.base.keras.lower() == backbone
        assert (model.trainable.value, model.pooling.value, model.hidden, model.epochs) == (
            "head_only",
            "flatten",
            None,
            10,
        )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("models_we_built", name), ("pretrained_comparison", name))
        for name in ("transfer_mobilenet", "transfer_resnet50v2")
    ]
    + [
        (
            ("pretrained_comparison", "efficientnetb7"),
            ("efficientnetb7_tuning", "batch8_image360_neighbors10_pca500"),
        )
    ],
)
def test_what_stands_in_two_tables_is_one_run(configs, one, other):
    assert identity(configs[one], SPLIT) == identity(configs[other], SPLIT)


def test_the_best_model_is_the_best_tuned_row(configs):
    best = max(read_table("efficientnetb7_tuning"), key=lambda row: row.top_1)
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        found = to_config(compose("config", ["+experiments=best_model"]))
    assert found.published == best
    assert identity(found, SPLIT) == identity(configs[best.table, best.row], SPLIT)


def test_no_two_rows_of_a_table_are_one_run(configs):
    for table in SLIDES:
        of_table = [config for (name, _), config in configs.items() if name == table]
        assert len({identity(config, SPLIT) for config in of_table}) == len(of_table)


def test_what_is_published_changes_no_identity(configs):
    row = configs["models_we_built", "sift"]
    assert identity(replace(row, published=Published()), SPLIT) == identity(row, SPLIT)


def test_all_backbones_sweeps_the_forty():
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        cfg = compose("config", ["+experiments=all_backbones"], return_hydra_config=True)
    assert cfg.hydra.mode.name == "MULTIRUN", "without -m"
    swept = [name.strip() for name in cfg.hydra.sweeper.params.model.split(",")]
    assert sorted(swept) == sorted(BACKBONES.split())
    assert len(swept) == 40


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
def test_no_row_is_invented(invented):
    with pytest.raises(BenchError, match="published is filled in by experiments/"):
        invented.check()


@pytest.mark.parametrize(
    ("override", "beside"),
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
def test_a_row_that_is_changed_is_that_row_no_more(override, beside):
    overrides = ["+experiments/models_we_built=sift", override]
    assert tags(ROW, overrides) == (TAGS if beside else {})
    assert (override in changes(overrides)) is not beside


@pytest.mark.parametrize(
    ("model", "kind"),
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
def test_families(model, kind):
    assert model_family(model) == kind


def test_weights_that_cannot_be_had_are_told_from_other_failures(monkeypatch):
    """The leaderboard goes by how the tag `failure` begins."""

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


@pytest.mark.parametrize("table", SLIDES)
def test_the_documentation_has_every_row_with_its_figures_and_its_file(table):
    page = (REPOSITORY / "docs" / "published.md").read_text()
    body = page.partition(f"| `+experiments/{table}=` |")[2].partition("\n\n")[0]
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in body.splitlines()[2:]]
    expected = []
    for row in read_table(table):
        figures = [row.top_1, row.top_3, row.top_5, row.top_10]
        told = ["" if figure is None else f"{figure:g}" for figure in figures]
        if table != "models_we_built":  # the only one with a top 3
            del told[1]
        expected.append([row.title, *told, f"`{row.row}`"])
    assert [cells for cells in found if cells] == expected

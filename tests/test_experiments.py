"""The published tables: every row is there as it was published, and its run says which it is."""

import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from outliers_bench.config import register, shipped, typed
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError, WeightsUnavailableError
from outliers_bench.features import applications
from outliers_bench.features.backbone import Backbone
from outliers_bench.features.efficientnet_lite0 import EfficientNetLite0
from outliers_bench.features.pixels import Pixels
from outliers_bench.features.weights_folder import imagenet_file
from outliers_bench.identity import identity
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.published import Published, changes, read_table, tables, tags
from outliers_bench.tracking.entries import failure_line
from outliers_bench.tracking.method import describe, family
from outliers_bench.training.models import CnnScratch, Transfer
from tests.toys import toy_split

REPOSITORY = Path(__file__).parent.parent
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


def composed(*overrides):
    with initialize_config_dir(str(shipped("conf")), version_base="1.3"):
        return compose("config", list(overrides))


def config_of(*overrides):
    return typed(composed(*overrides))


def rows():
    return [(table, row.row) for table in SLIDES for row in read_table(table)]


@pytest.fixture(scope="module")
def configs():
    """Every row's config, composed once: a row that does not compose fails all that use them."""
    with initialize_config_dir(str(shipped("conf")), version_base="1.3"):
        return {
            (table, row): typed(compose("config", [f"+experiments/{table}={row}"]))
            for table, row in rows()
        }


@pytest.fixture(scope="module")
def plain():
    """What `model=mobilenet` composes to."""
    return composed("model=mobilenet")


def changed(cfg, **options):
    """Composed options with others in their place, checked."""
    cfg = copy.deepcopy(cfg)
    for option, value in options.items():
        OmegaConf.update(cfg, option, value)
    return typed(cfg)


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
        neighbours = config.k[-1]
        told = (
            f"batch {config.engine.batch_size}, image {config.model.image_size}, "
            f"n_neighbors {neighbours}, PCA {config.pca.n}"
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
    found = config_of("+experiments=best_model")
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
    with initialize_config_dir(str(shipped("conf")), version_base="1.3"):
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
    assert family(model) == kind


# Keras' download names, of keras.applications as of 3.13, with and without a top.
DOWNLOADS = {
    "ConvNeXtXLarge": "convnext_xlarge_notop.h5",
    "DenseNet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "EfficientNetB7": "efficientnetb7_notop.h5",
    "EfficientNetV2B3": "efficientnetv2-b3_notop.h5",
    "EfficientNetV2S": "efficientnetv2-s_notop.h5",
    "InceptionResNetV2": "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "InceptionV3": "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "MobileNet": "mobilenet_1_0_224_tf_no_top.h5",
    "MobileNetV2": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    "MobileNetV3Large": "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
    "NASNetMobile": "nasnet_mobile_no_top.h5",
    "ResNet50": "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "ResNet50V2": "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "VGG16": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "Xception": "xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
}


@pytest.fixture
def folder(tmp_path):
    for name in DOWNLOADS.values():
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_each_network_finds_its_own_file(folder):
    found = {keras: imagenet_file(folder, keras, image_size=224) for keras in DOWNLOADS}
    assert {keras: path and path.name for keras, path in found.items()} == DOWNLOADS
    for absent in ("EfficientNetB0", "ResNet101", "VGG19", "MobileNetV3Small", "ConvNeXtLarge"):
        assert imagenet_file(folder, absent, image_size=224) is None


def test_no_network_takes_anothers_file_for_want_of_its_own(tmp_path):
    (tmp_path / "mobilenetv2_1.0_224_notop.weights.h5").write_bytes(b"")
    (tmp_path / "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5").write_bytes(b"")
    assert imagenet_file(tmp_path, "MobileNet", image_size=224) is None
    assert imagenet_file(tmp_path, "ResNet50", image_size=224) is None


@pytest.mark.parametrize(
    ("size", "chosen"),
    [
        (160, "mobilenet_1_0_160_tf_no_top.h5"),
        (224, "mobilenet_1_0_224_tf_no_top.h5"),
        (300, "mobilenet_1_0_224_tf_no_top.h5"),
    ],
)
def test_of_several_files_the_one_that_keras_would_take(tmp_path, size, chosen):
    for name in (
        "mobilenet_1_0_160_tf_no_top.h5",
        "mobilenet_1_0_224_tf.h5",
        "mobilenet_1_0_224_tf_no_top.h5",
        "mobilenet_2_5_224_tf_no_top.h5",
        "mobilenet_1_0_224_tf_no_top.txt",
    ):
        (tmp_path / name).write_bytes(b"")
    found = imagenet_file(tmp_path, "MobileNet", image_size=size)
    assert found is not None
    assert found.name == chosen


def test_weights_dir_reaches_backbones_heads_and_members(folder):
    file = str(folder / DOWNLOADS["MobileNet"])
    place = f"weights_dir={folder}"
    head = config_of("model=transfer_mobilenet", place)
    assert head.model.base.weights == file
    assert "mobilenet_1_0_224_tf_no_top" in describe(head).variant
    both = config_of("model=ensemble", "model.members=[mobilenet,vgg19]", place)
    assert [member.weights for member in both.model.models] == [file, "imagenet"]
    assert "mobilenet weights=mobilenet_1_0_224_tf_no_top + vgg19" in describe(both).variant


def test_weights_dir_leaves_alone_what_was_asked_for(folder, plain):
    config = changed(plain, weights_dir=str(folder), **{"model.weights": "random"})
    assert config.model.weights == "random"


def test_a_run_is_the_same_whichever_way_its_file_was_named(folder, plain, monkeypatch):
    file = str(folder / DOWNLOADS["MobileNet"])
    named = identity(changed(plain, **{"model.weights": file}), SPLIT)
    assert identity(changed(plain, weights_dir=str(folder)), SPLIT) == named
    assert identity(changed(plain), SPLIT) != named
    monkeypatch.setenv("OUTLIERS_BENCH_WEIGHTS", str(folder))
    backbone = changed(plain)
    assert describe(backbone).variant == "224px mobilenet_1_0_224_tf_no_top"
    assert identity(backbone, SPLIT) == named


@pytest.mark.parametrize(("given", "told"), [("nowhere", "no folder"), ("", "is empty")])
def test_a_weights_dir_that_is_none(given, told, plain):
    with pytest.raises(BenchError, match=f"weights_dir={given}.*{told}"):
        changed(plain, weights_dir=given)


def test_weights_that_cannot_be_had_are_told_from_other_failures(monkeypatch):
    """The leaderboard goes by how the tag `failure` begins."""

    def get_file(origin, download_target):
        raise ConnectionError("no network")

    def unreachable(**options):
        get_file("https://example.org/vgg16.h5", "/models/vgg16.h5")

    keras = SimpleNamespace(applications=SimpleNamespace(VGG16=unreachable))
    monkeypatch.setitem(sys.modules, "keras", keras)
    with pytest.raises(WeightsUnavailableError) as caught:
        applications.application("VGG16", 224, pretrained=True)
    line = failure_line(caught.value)
    assert line.startswith("WeightsUnavailableError: model.weights=imagenet: vgg16.h5 is missing")
    assert "weights_dir=<folder>" in line


def make(*arguments):
    done = subprocess.run(
        ["make", "--dry-run", "table", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_make_table(tmp_path):
    code, said = make("NAME=models_we_built", f"DATA={tmp_path}", "ARGS=seed=1")
    assert code == 0
    assert "-m '+experiments/models_we_built=glob(*)' skip_finished=true" in said
    assert f"\"data.root='{tmp_path}'\" seed=1" in said
    assert "leaderboard --table models_we_built" in said


@pytest.mark.parametrize("arguments", [[], ["NAME=models"]])
def test_make_table_without_a_table_names_them(arguments):
    code, said = make(*arguments)
    assert code == 2
    assert "there is: efficientnetb7_tuning models_we_built pretrained_comparison" in said
    assert "-m outliers_bench" not in said


@pytest.mark.parametrize("table", SLIDES)
def test_the_documentation_has_every_row_with_its_figures_and_its_file(table):
    page = (REPOSITORY / "docs" / "published.md").read_text()
    body = page.partition(f"| `+experiments/{table}=` |")[2].partition("<!-- measured -->")[0]
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in body.splitlines()[2:]]
    expected = []
    for row in read_table(table):
        figures = [row.top_1, row.top_3, row.top_5, row.top_10]
        told = ["" if figure is None else f"{figure:g}" for figure in figures]
        if table != "models_we_built":  # the only one with a top 3
            del told[1]
        expected.append([row.title, *told, f"`{row.row}`"])
    assert [cells for cells in found if cells] == expected

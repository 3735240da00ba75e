"""Published tables: every row composes, with its published figures and parameters."""

from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.published import Published, read_table, tables
from outliers_bench.config.schema import register, to_config
from outliers_bench.errors import BenchError
from tests.toys import toy_split

pytestmark = pytest.mark.extra("demo")  # rows inherit from the default run
REPOSITORY = Path(__file__).parents[2]
# Title, top 1, top 3, top 5 and top 10 in the slides.
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
# The 33 of the keras.io table at the time of the slides, and the seven added since.
BACKBONES = """
    xception vgg16 vgg19 resnet50 resnet101 resnet152 resnet50v2 resnet101v2 resnet152v2
    inceptionv3 inceptionresnetv2 mobilenet mobilenetv2 densenet121 densenet169 densenet201
    nasnetmobile nasnetlarge efficientnetb0 efficientnetb1 efficientnetb2 efficientnetb3
    efficientnetb4 efficientnetb5 efficientnetb6 efficientnetb7 efficientnetv2b0
    efficientnetv2b1 efficientnetv2b2 efficientnetv2b3 efficientnetv2s efficientnetv2m
    efficientnetv2l convnexttiny convnextsmall convnextbase convnextlarge convnextxlarge
    mobilenetv3small mobilenetv3large
"""
NATIVE_SIZE = {"xception": 299, "inceptionv3": 299}  # pixels; 224 for all others
SPLIT = toy_split([0, 1], [0, 1])


register()


def rows():
    return [(table, row.row) for table in SLIDES for row in read_table(table)]


@pytest.fixture(scope="module")
def configs():
    """Config of every row, composed once; a row that does not compose fails all tests here."""
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return {
            (table, row): to_config(compose("config", [f"+experiments/{table}={row}"]))
            for table, row in rows()
        }


@pytest.mark.parametrize("table", SLIDES)
def test_rows_have_their_published_figures(table):
    rows = [(r.title, r.top_1, r.top_3, r.top_5, r.top_10) for r in read_table(table)]
    assert rows == SLIDES[table]


def test_tables_are_those_of_the_slides():
    assert set(tables()) == set(SLIDES)
    with pytest.raises(BenchError, match="available: efficientnetb7_tuning, models_we_built"):
        read_table("models")


def test_row_has_its_name_a_note_and_the_published_cut_offs(configs):
    for (table, row), config in configs.items():
        published = config.published
        assert (published.table, published.row) == (table, row)
        assert published.note, "assumptions where the slides are unclear"
        cut_offs = {1, 5, 10} | ({3} if published.top_3 else set())
        assert cut_offs <= set(config.k)


def test_tuned_rows_have_their_parameters(configs):
    for row in read_table("efficientnetb7_tuning"):
        config = configs[row.table, row.row]
        neighbors = config.k[-1]
        title = (
            f"batch {config.engine.batch_size}, image {config.model.image_size}, "
            f"n_neighbors {neighbors}, PCA {config.pca.n}"
        )
        assert title == row.title
        assert (config.index.name, config.index.metric.name) == ("kd_tree", "cosine")
        assert config.model.name == "efficientnetb7"


def test_pretrained_rows_have_the_parameters_of_the_template(configs):
    names = [row.row for row in read_table("pretrained_comparison")][2:-1]
    assert len(names) == 7
    for name in names:
        config = configs["pretrained_comparison", name]
        assert config.model.keras.lower() == name
        assert (config.model.image_size, config.model.weights) == (
            NATIVE_SIZE.get(name, 224),
            "imagenet",
        )
        assert (config.pca.n, config.index.name, config.index.metric.name) == (
            100,
            "ball_tree",
            "euclidean",
        )


def test_trained_rows_have_their_parameters(configs):
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
def test_row_in_two_tables_is_one_run(configs, one, other):
    assert identity(configs[one], SPLIT) == identity(configs[other], SPLIT)


def test_best_model_is_the_best_tuned_row(configs):
    best = max(read_table("efficientnetb7_tuning"), key=lambda row: row.top_1)
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        config = to_config(compose("config", ["+experiments=best_model"]))
    assert config.published == best
    assert identity(config, SPLIT) == identity(configs[best.table, best.row], SPLIT)


def test_rows_of_a_table_are_different_runs(configs):
    for table in SLIDES:
        of_table = [config for (name, _), config in configs.items() if name == table]
        assert len({identity(config, SPLIT) for config in of_table}) == len(of_table)


def test_published_figures_do_not_change_the_identity(configs):
    row = configs["models_we_built", "sift"]
    assert identity(replace(row, published=Published()), SPLIT) == identity(row, SPLIT)


def test_all_backbones_sweeps_forty_models():
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        cfg = compose("config", ["+experiments=all_backbones"], return_hydra_config=True)
    assert cfg.hydra.mode.name == "MULTIRUN", "without -m"
    swept = [name.strip() for name in cfg.hydra.sweeper.params.model.split(",")]
    assert sorted(swept) == sorted(BACKBONES.split())
    assert len(swept) == 40


@pytest.mark.parametrize("table", SLIDES)
def test_documentation_lists_every_row(table):
    page = (REPOSITORY / "docs" / "published.md").read_text()
    body = page.partition(f"| `+experiments/{table}=` |")[2].partition("\n\n")[0]
    documented = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in body.splitlines()[2:]
    ]
    expected = []
    for row in read_table(table):
        figures = [row.top_1, row.top_3, row.top_5, row.top_10]
        cells = ["" if figure is None else f"{figure:g}" for figure in figures]
        if table != "models_we_built":  # the only table with a top 3
            del cells[1]
        expected.append([row.title, *cells, f"`{row.row}`"])
    assert [cells for cells in documented if cells] == expected

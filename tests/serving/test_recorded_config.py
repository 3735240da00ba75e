"""A run's config from its recorded values: the same choices, the same numbers."""

from dataclasses import fields
from functools import cache

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from outliers_bench.config.choices import SCHEMAS
from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register, to_config
from outliers_bench.errors import BenchError
from outliers_bench.serving.recorded_config import restore_config, infer_schema
from outliers_bench.tracking.params import to_mapping
from tests.toys import toy_split

PIXELS = "'pixels image_size=16'"
PLAIN = (
    "model=pixels",
    "index=faiss_hnsw",
    "pca.n=5",
    "pca.whiten=true",
    "l2.after_reduction=true",
)


@cache  # composing takes longer than all else here
def composed(*overrides):
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return to_config(compose("config", [*overrides, "data.root=photos", "data=folder"]))


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group, of in SCHEMAS.items() for name in of]
)
def test_every_choice_is_known_again_by_its_options(group, name):
    schema = SCHEMAS[group][name]
    values = {entry.name: "?" for entry in fields(schema)}
    conf = resource_dir("conf") / group / f"{name}.yaml"
    if conf.exists():
        said = OmegaConf.load(conf)
        values |= {key: said[key] for key in ("name", "keras") if key in said}
    if "name" in values and values["name"] == "?":
        values["name"] = getattr(schema, "name", "?")
    if name == "efficientnet_lite0":  # may be called what one likes
        values |= {"name": "mine", "keras": "EfficientNetLite0"}
    assert infer_schema(group, values) is schema


@pytest.mark.parametrize(
    "overrides",
    [
        PLAIN,
        *(
            pytest.param(overrides, marks=pytest.mark.slow)
            for overrides in (
                ("model=efficientnet_lite0", "index=ball_tree", "index.metric=euclidean"),
                ("model=vgg16", "index=kd_tree", "reduce=learned_whitening", "reduce.n=2"),
                ("model=sift", "model.verify=affine", "seed=7", "engine.batch_size=4"),
                ("model=ensemble", f"model.members=[{PIXELS},sift_vlad]", "rerank=dba"),
                ("model=transfer_mobilenet", "lr_schedule=cosine", "augment=original"),
                ("model=cnn_scratch", "lr_schedule=exponential"),
                ("model=pixels", "reduce=random_projection", "reduce.n=4", "rerank=diffusion"),
            )
        ),
    ],
    ids=lambda overrides: overrides[0],
)
def test_gives_the_config_that_was_recorded(overrides):
    config = composed(*overrides)
    recorded = yaml.safe_load(OmegaConf.to_yaml(OmegaConf.create(to_mapping(config))))
    again = restore_config(recorded)
    assert again == config
    assert to_mapping(again) == to_mapping(config)
    split = toy_split([0, 1], [0, 1])
    assert identity(again, split) == identity(config, split)


def test_an_option_that_did_not_exist_yet_has_its_default():
    values = to_mapping(composed(*PLAIN))
    del values["index"]["ef_search"], values["model"]["tta"], values["objective"]
    assert restore_config(values) == composed(*PLAIN)


def test_an_option_that_is_gone_is_told():
    values = to_mapping(composed(*PLAIN))
    values["index"]["hyperdrive"] = 3
    with pytest.raises(BenchError, match=r"another version.*hyperdrive.*run it again"):
        restore_config(values)

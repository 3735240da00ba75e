"""Restoring a run's typed config from its recorded values."""

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
from outliers_bench.serving.recorded_config import infer_schema, restore_config
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


@cache  # composing takes most of the time
def compose_config(*overrides):
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return to_config(compose("config", [*overrides, "data.root=photos", "data=folder"]))


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group, choices in SCHEMAS.items() for name in choices]
)
def test_every_choice_is_inferred_from_its_options(group, name):
    schema = SCHEMAS[group][name]
    values = {entry.name: "?" for entry in fields(schema)}
    conf = resource_dir("conf") / group / f"{name}.yaml"
    if conf.exists():
        defaults = OmegaConf.load(conf)
        values |= {key: defaults[key] for key in ("name", "keras") if key in defaults}
    if "name" in values and values["name"] == "?":
        values["name"] = getattr(schema, "name", "?")
    if name == "efficientnet_lite0":  # its name is up to the user
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
def test_restored_config_equals_the_original(overrides):
    config = compose_config(*overrides)
    recorded = yaml.safe_load(OmegaConf.to_yaml(OmegaConf.create(to_mapping(config))))
    restored = restore_config(recorded)
    assert restored == config
    assert to_mapping(restored) == to_mapping(config)
    split = toy_split([0, 1], [0, 1])
    assert identity(restored, split) == identity(config, split)


def test_missing_option_has_its_default():
    values = to_mapping(compose_config(*PLAIN))
    del values["index"]["ef_search"], values["model"]["tta"], values["objective"]
    assert restore_config(values) == compose_config(*PLAIN)


def test_unknown_option_is_an_error():
    values = to_mapping(compose_config(*PLAIN))
    values["index"]["hyperdrive"] = 3
    with pytest.raises(BenchError, match=r"another version.*hyperdrive.*run it again"):
        restore_config(values)


@pytest.mark.parametrize("wrap", [str, lambda text: [text], lambda text: [{"key": [text]}]])
def test_no_recorded_text_reads_the_environment(wrap, monkeypatch):
    """A store from elsewhere could otherwise carry a secret of this machine into an address."""
    monkeypatch.setenv("TOKEN", "s3cret")
    values = to_mapping(compose_config(*PLAIN))
    values["engine"]["batch_size"] = wrap("${oc.env:TOKEN}")
    with pytest.raises(BenchError) as error:
        restore_config(values)
    assert "s3cret" not in str(error.value)
    assert "${oc.env:TOKEN}" in str(error.value)

"""Config of a run as plain values, compared with the slower conversion by OmegaConf, and params."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import Cache, Config, register, to_config
from outliers_bench.data.folder import ClassFolders
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.tracking.params import flatten, to_mapping
from outliers_bench.training.models import CnnScratch

register()


@pytest.mark.parametrize(
    "words",
    [
        ["model=efficientnetb7", "pca.n=500", "index.metric=euclidean"],
        ["model=sift", "model.verify=homography", "data=folder", "data.root=here"],
        ["model=ensemble", "model.members=[pixels,sift_vlad]"],
        ["model=transfer_vgg16", "augment=original", "lr_schedule=original", "rerank=diffusion"],
        ["+experiments/models_we_built=sift", "data=manifest"],
    ],
    ids=lambda words: words[0],
)
def test_values_agree_with_omegaconf(words) -> None:
    with initialize_config_dir(version_base="1.3", config_dir=str(resource_dir("conf"))):
        composed = compose("config", overrides=[*words, "weights_dir=null"])
    if "data=manifest" in words:
        composed.data.path = "photos.csv"
    config = to_config(composed)

    values = to_mapping(config)
    resolved = values["model"].pop("resolved", None)

    expected = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    assert values == expected
    assert (resolved is not None) == (words[0] == "model=ensemble")
    if resolved:
        for label, member in zip(config.model.labels, config.model.models, strict=True):
            expected = OmegaConf.to_container(OmegaConf.structured(member), enum_to_str=True)
            assert resolved[label] == expected


def test_params_have_no_places_and_each_option_once():
    config = Config(
        data=ClassFolders(root="photos"), model=CnnScratch(), index=Exact(), cache=Cache("x")
    )
    params = flatten(to_mapping(config))
    assert params["data.root"] == "photos"
    assert params["model.lr_schedule.name"] == "constant"
    assert params["engine.kind"] == "auto"
    assert {name.partition(".")[0] for name in params} == {
        *("data", "model", "l2", "pca", "reduce", "index", "rerank", "engine", "statistics"),
        *("k", "seed", "skip_finished", "objective"),
    }

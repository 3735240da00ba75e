"""Configs of the jobs of a sweep: equal to those of Hydra, with shared compositions."""

from itertools import product

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import OmegaConf

from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register
from outliers_bench.config.shared_compositions import Compositions


@pytest.fixture(scope="module")
def loader():
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture(scope="module")
def master(loader):
    return loader.load_configuration("config", [], RunMode.MULTIRUN)


@pytest.fixture(scope="module")
def compositions(loader):
    return Compositions(loader)


@pytest.fixture
def composed(monkeypatch):
    """Overrides of all full compositions."""
    recorded, compose = [], ConfigLoaderImpl.load_configuration

    def record(self, config_name, overrides, run_mode, **more):
        recorded.append(overrides)
        return compose(self, config_name, overrides, run_mode, **more)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", record)
    return recorded


def equal(first, second):
    return OmegaConf.to_yaml(first) == OmegaConf.to_yaml(second) and (
        first._metadata.flags == second._metadata.flags
    )


@pytest.mark.parametrize(
    "job",
    [
        ["data=synthetic", "model=pixels", "pca.n=3", "index=exact", "index.metric=cosine"],
        ["pca.n=3", "data=synthetic", "+index.more=1", "k=[1,2]", "data.name='a b'"],
        ["data=synthetic", "hydra.job.name=other", "seed=4"],
        ["data=synthetic", "~pca"],
        ["pca.n=3", "~pca", "+index.more=1", "++index.more=2", "index.metric=euclidean"],
    ],
    ids=" ".join,
)
def test_config_of_a_job_equals_that_of_hydra(loader, master, compositions, job):
    expected = loader.load_sweep_config(master, job)
    first, second = compositions(master, job), compositions(master, job)
    assert equal(first, expected)
    assert equal(second, expected)


def test_jobs_do_not_share_a_config(master, compositions):
    job = ["data=synthetic", "seed=3"]
    for _ in range(3):
        config = compositions(master, job)
        assert config.seed == 3
        config.seed = 99


def test_jobs_with_the_same_choices_share_a_composition(loader, master, composed):
    compositions = Compositions(loader)
    jobs = list(product(["data=synthetic"], ["index=exact", "index=kd_tree"], ["seed=1", "seed=2"]))
    for _ in range(2):  # Hydra first composes all jobs, then each one again
        for job in jobs:
            config = compositions(master, list(job))
            assert list(config.hydra.overrides.task) == list(job)
    assert composed == [["data=synthetic", "index=exact"], ["data=synthetic", "index=kd_tree"]]


def test_errors_are_those_of_hydra(loader, master, compositions):
    for job in (["data=synthetic", "seeds=1"], ["data=no_such"]):
        with pytest.raises(ConfigCompositionException) as expected:
            loader.load_sweep_config(master, job)
        with pytest.raises(ConfigCompositionException) as raised:
            compositions(master, job)
        assert str(raised.value) == str(expected.value)

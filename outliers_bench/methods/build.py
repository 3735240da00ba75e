"""From a config to the method it asks for."""

from __future__ import annotations

from outliers_bench.config import Config
from outliers_bench.errors import BenchError
from outliers_bench.features.extract import Features
from outliers_bench.features.extractor import Extractor
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.measure import Meter
from outliers_bench.methods.embedding import Embedding
from outliers_bench.methods.method import Method


def build(config: Config, meter: Meter) -> Method:
    """The method that a config asks for.

    Parameters
    ----------
    config : Config
        The whole run.
    meter : Meter
        Takes down times, counts and sizes.
    """
    model, cache = config.model, config.cache.path
    if isinstance(model, KeypointMatching):
        from outliers_bench.methods.keypoints import MatchKeypoints

        return MatchKeypoints(config, model, meter)
    if isinstance(model, Vlad):
        from outliers_bench.keypoints.aggregate import VladVectors

        return Embedding(config, VladVectors(model, cache, meter), model.dimensions, meter)
    if isinstance(model, Extractor):
        features = Features(model, config.engine, cache, meter)
        return Embedding(config, features, model.dimensions, meter)
    raise BenchError(f"model={model.name} has no method")

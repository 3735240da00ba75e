"""Identity of a run: the options that change its figures, the photos, and the version."""

from __future__ import annotations

import hashlib
import json
from enum import Enum

from outliers_bench.config.renamed import original_names
from outliers_bench.config.schema import Config, needing
from outliers_bench.data.decode import DECODER
from outliers_bench.engines.options import resolve_engine
from outliers_bench.evaluation.choose_clusters import choose_unit, column_digest
from outliers_bench.evaluation.metrics import DEFINITIONS
from outliers_bench.models.precision import given_batch_size, precision_label
from outliers_bench.runtime.option_roles import result_options
from outliers_bench.types import Split
from outliers_bench.version import __version__


def identity(config: Config, split: Split) -> str:
    """Return the digest (32 hex digits) of everything that can change the figures of a run."""
    values = result_options(config)
    # The photos are in the fingerprint of the split, and the training is in the trained models.
    elsewhere = ["data", "statistics", *needing("trains")]
    idle = [] if config.model.embeds else needing("embeds")
    for name in (*elsewhere, *idle):
        del values[name]
    values["model"] = config.model.result_options()
    members = getattr(config.model, "models", (config.model,))
    if any(features := [member.space_on(split) for member in members]):
        values["features"] = features
    # What `auto` was on this machine; float32 features are the same with every engine.
    cache = config.cache.path
    if precision := precision_label(config.model, config.engine, cache):
        values["precision"] = f"{precision} by {resolve_engine(config.engine, cache).kind.value}"
    if batch_size := given_batch_size(config.model, config.engine):
        values["batch_size"] = batch_size
    if config.model.embeds and not config.index.exact:
        # Earlier runs found some of the copies of a photo, in any order; their figures may differ.
        values["copies"] = "found together"
    unit = choose_unit(split, config.statistics.cluster)
    values["statistics"] = {"cluster": unit, "digest": column_digest(split, unit)}
    everything = [
        *(__version__, DECODER, DEFINITIONS, split.fingerprint),
        original_names(values),
    ]
    text = json.dumps(everything, sort_keys=True, default=_plain)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    raise TypeError(f"{type(value).__name__} cannot be in a config")

"""Identity of a run: the options that change its figures, the photos, and the version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from enum import Enum

from outliers_bench.config.renamed import original_names
from outliers_bench.config.schema import Config
from outliers_bench.data.decode import DECODER
from outliers_bench.engines.options import resolve_engine
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.models.model import Model
from outliers_bench.models.precision import precision_label
from outliers_bench.types import Split
from outliers_bench.version import __version__

# Locations, displays, speed and folder names do not change a ranking; of the engine, the precision
# does, and below float32 the kind. The photos are in the fingerprint of the split, and the options
# that a trained model shares with the run are in the model.
IRRELEVANT = (
    *("data", "tracking", "cache", "contact_sheets", "engine", "skip_finished", "published"),
    "objective",
    "weights_dir",  # the digest of a file from there is in the model
    *("lr_schedule", "augment", "deterministic"),
)
OF_EMBEDDINGS = ("l2", "pca", "reduce", "index", "rerank")  # no effect without embeddings


def identity(config: Config, split: Split) -> str:
    """Return the digest (32 hex digits) of everything that can change the figures of a run.

    Parameters
    ----------
    config : Config
    split : Split
        As loaded.
    """
    values = {key: value for key, value in asdict(config).items() if key not in IRRELEVANT}
    if not config.model.embeds:
        values = {key: value for key, value in values.items() if key not in OF_EMBEDDINGS}
    values["model"] = _model(config.model)
    cache = config.cache.path
    if precision := precision_label(config.model, config.engine, cache):
        values["precision"] = f"{precision} by {resolve_engine(config.engine, cache).kind.value}"
    everything = [__version__, DECODER, split.fingerprint, original_names(values)]
    text = json.dumps(everything, sort_keys=True, default=_plain)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _model(model: Model) -> dict[str, object]:
    values = {**asdict(model), **model.space()}
    values = {name: value for name, value in values.items() if name not in model.inert_options}
    if isinstance(model, Ensemble):
        values = {name: values[name] for name in model.what_matters(list(values))}
        values["members"] = [_model(member) for member in model.models]
        values["member_weights"] = model.weights or "tuned"
    return values


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    raise TypeError(f"{type(value).__name__} cannot be in a config")

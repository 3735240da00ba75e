"""Search space of a sweep, and checks before its first job."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from outliers_bench.config import published
from outliers_bench.config.text_options import as_typed
from outliers_bench.data.source import DataSource
from outliers_bench.data.validation import Evaluated
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import count_relevant, nothing_relevant
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.models.weights_folder import check_folder
from outliers_bench.runtime.command_line import instead
from outliers_bench.sweeps.objective import check_metric_name, check_objective
from outliers_bench.sweeps.plugins import check_plugins, check_storage, is_search
from outliers_bench.types import Split


@dataclass(frozen=True)
class Space:
    """Search space of a sweep."""

    keys: tuple[str, ...]  # options and groups with several values
    given: tuple[str, ...]  # options and groups with one value on the command line
    sweeper_params: tuple[str, ...]  # options that the params of the sweeper vary, as `key=values`
    n_jobs: int | None  # if it is known

    @classmethod
    def from_config(cls, config: DictConfig) -> Space:
        """Return the search space of a composed config that includes the node `hydra`."""
        loader = GlobalHydra.instance().config_loader()
        sweeper = config.hydra.sweeper
        params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        parser = OverridesParser.create(config_loader=loader)
        own, typed = (
            parser.parse_overrides(list(words)) for words in (params, config.hydra.overrides.task)
        )
        # The command line has priority over the params of the sweeper.
        by_key = {override.get_key_element(): override for override in (*own, *typed)}
        swept = [override for override in by_key.values() if override.is_sweep_override()]
        sizes = [_size(override, config, loader) for override in swept]
        return cls(
            keys=tuple(override.key_or_group for override in swept),
            given=tuple(o.key_or_group for o in typed if not o.is_sweep_override()),
            sweeper_params=tuple(as_typed([str(o.input_line) for o in own if o in swept])),
            n_jobs=_n_jobs(sizes, sweeper),
        )

    def is_constant(self, group: str) -> bool:
        """Check whether all jobs have the same values of a group, as far as that is known."""
        is_swept = any(
            key == group or key.startswith((f"{group}.", f"{group}/")) for key in self.keys
        )
        # An experiment may set any option, but the command line has priority.
        by_experiment = any(key.startswith("experiments") for key in self.keys)
        return not is_swept and (group in self.given or not by_experiment)


def _n_jobs(sizes: Sequence[int | None], sweeper: DictConfig) -> int | None:
    n_trials: int | None = sweeper.get("n_trials")
    finite = [size for size in sizes if size is not None]
    combinations = math.prod(finite) if len(finite) == len(sizes) else None
    if n_trials is None:
        return combinations
    grid = "GridSampler" in str((sweeper.get("sampler") or {}).get("_target_"))
    return min(n_trials, combinations) if grid and combinations is not None else n_trials


def _size(override: Override, config: DictConfig, loader: ConfigLoader) -> int | None:
    """Return the number of values of an override, None for an interval; refuse an empty set."""
    if not override.is_discrete_sweep():
        return None
    size = sum(1 for _ in override.sweep_iterator())
    if size:
        return size
    key = override.key_or_group
    options = loader.get_group_options(key)
    if options:
        raise BenchError(
            f"{override.input_line}: none of {key} matches (available: {', '.join(options)})"
        )
    if key.startswith("experiments"):
        hint = instead(key.removeprefix("experiments/"), published.tables())
        raise BenchError(f"{override.input_line}: no such table{hint}")
    if str(override.value_type).endswith("GLOB_CHOICE_SWEEP"):
        groups = [str(name) for name in config if name != "hydra"]
        raise BenchError(f"{override.input_line}: no such group{instead(key, groups)}")
    raise BenchError(f"{override.input_line}: no value")


def check_sweep(config: DictConfig, space: Space) -> None:
    """Check what would make all jobs of a sweep fail, before anything is recorded."""
    from outliers_bench.tracking.store import check_uri

    check_plugins(config.hydra)
    if space.is_constant("tracking"):
        check_uri(str(config.tracking.uri))
    _check_objective(config, space)
    if space.is_constant("weights_dir") and config.weights_dir is not None:
        check_folder(config.weights_dir)
    if space.is_constant("data"):
        _check_data(config, space)
    check_storage(config.hydra)


def _check_objective(config: DictConfig, space: Space) -> None:
    search = is_search(config.hydra)
    if search and "objective" in space.keys:
        raise BenchError("objective: a search optimizes one objective; give a single metric")
    if not space.is_constant("objective"):
        return
    check_metric_name(config.objective, list(config.k))
    if (search or "objective" in space.given) and space.is_constant("k"):
        check_objective(config.objective, list(config.k))


def check_splits(source: DataSource, every: Sequence[Split]) -> None:
    """Raise `BenchError` if the splits of a repeated run are the same, or have no labels."""
    option, name = source.option_of_splits(), every[0].name
    if len({split.fingerprint for split in every}) < len(every):
        raise BenchError(
            f"{option}: the split of {name} is the same for other seeds, as its parts are given, "
            f"or are decided by the options; omit {option}"
        )
    if not all(split.labeled for split in every):
        raise BenchError(f"{option}: {name} has no labels, so there are no scores")


def _check_data(config: DictConfig, space: Space) -> None:
    from outliers_bench.config.schema import Cache

    cache = Cache(dir=str(config.cache.dir))
    cache.check()
    try:
        source = OmegaConf.to_object(config.data)
    except MissingMandatoryValue as error:
        key = str(error.full_key or error.key)
        raise BenchError(f"{key} is missing: give it as {key}=<value>") from error
    if isinstance(source, DataSource):
        source.check()
        sources, seed = source.each_split(), int(config.seed)
        if len(sources) > 1:
            splits.keep(len(sources))
            two = [splits.load_whole(each, seed=seed, cache=cache.path) for each in sources[:2]]
            check_splits(source, two)
        source = sources[0]
        split = splits.load(source, seed=seed, cache=cache.path)
        if split.is_validation:  # the winner will be run on the others
            others = replace(source, evaluate=Evaluated.queries)
            for each in (split, splits.load(others, seed=seed, cache=cache.path)):
                if not count_relevant(each).any():
                    raise nothing_relevant(each)
        if is_search(config.hydra) and space.is_constant("objective") and space.is_constant("k"):
            check_objective(config.objective, list(config.k), labeled=split.labeled)

"""What a sweep varies, and what none of its jobs could do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from outliers_bench.config import published
from outliers_bench.config.hydra_errors import instead
from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.models.weights_folder import check_folder
from outliers_bench.sweeps.objective import check_known, check_objective
from outliers_bench.sweeps.plugins import check_plugins, check_storage, is_search


@dataclass(frozen=True)
class Space:
    """What a sweep varies.

    Parameters
    ----------
    keys : tuple of str
        Options and groups that get several values.
    given : tuple of str
        Those that get one, on the command line.
    beside : tuple of str
        What the sweeper's own params vary, as `key=values`.
    n_jobs : int or None
        How many jobs that makes, if it is known before.
    """

    keys: tuple[str, ...]
    given: tuple[str, ...]
    beside: tuple[str, ...]
    n_jobs: int | None

    @classmethod
    def of(cls, config: DictConfig) -> Space:
        """What a composed config with Hydra's own part in it sweeps.

        Raises
        ------
        BenchError
            If something is to be varied over no values.
        """
        loader = GlobalHydra.instance().config_loader()
        sweeper = config.hydra.sweeper
        params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        parser = OverridesParser.create(config_loader=loader)
        own, typed = (
            parser.parse_overrides(list(words)) for words in (params, config.hydra.overrides.task)
        )
        # The command line has the last word over what the sweeper would vary by itself.
        by_key = {override.get_key_element(): override for override in (*own, *typed)}
        swept = [override for override in by_key.values() if override.is_sweep_override()]
        sizes = [_size(override, config, loader) for override in swept]
        return cls(
            keys=tuple(override.key_or_group for override in swept),
            given=tuple(o.key_or_group for o in typed if not o.is_sweep_override()),
            beside=tuple(str(o.input_line) for o in own if o in swept),
            n_jobs=_n_jobs(sizes, sweeper),
        )

    def leaves(self, group: str) -> bool:
        """Whether every job has the same of a group of options, as far as can be told."""
        own = any(key == group or key.startswith((f"{group}.", f"{group}/")) for key in self.keys)
        # An experiment may say anything, but the command line has the last word.
        elsewhere = any(key.startswith("experiments") for key in self.keys)
        return not own and (group in self.given or not elsewhere)


def _n_jobs(sizes: Sequence[int | None], sweeper: DictConfig) -> int | None:
    n_trials: int | None = sweeper.get("n_trials")
    finite = [size for size in sizes if size is not None]
    combinations = math.prod(finite) if len(finite) == len(sizes) else None
    if n_trials is None:
        return combinations
    grid = "GridSampler" in str((sweeper.get("sampler") or {}).get("_target_"))
    return min(n_trials, combinations) if grid and combinations is not None else n_trials


def _size(override: Override, config: DictConfig, loader: ConfigLoader) -> int | None:
    """How many values an override stands for; None for an interval. Refuses those with none."""
    if not override.is_discrete_sweep():
        return None
    size = sum(1 for _ in override.sweep_iterator())
    if size:
        return size
    key = override.key_or_group
    options = loader.get_group_options(key)
    if options:
        raise BenchError(
            f"{override.input_line}: none of {key} matches (there is: {_all(options)})"
        )
    if key.startswith("experiments"):
        near = instead(key.removeprefix("experiments/"), published.tables())
        raise BenchError(f"{override.input_line}: no such table{near}")
    if str(override.value_type).endswith("GLOB_CHOICE_SWEEP"):
        groups = [str(name) for name in config if name != "hydra"]
        raise BenchError(f"{override.input_line}: no such group{instead(key, groups)}")
    raise BenchError(f"{override.input_line}: no value to run with")


def _all(options: Sequence[str]) -> str:
    return ", ".join(options)


def check(config: DictConfig, space: Space) -> None:
    """Refuse what no job of the sweep could do, before there is anything to record.

    Raises
    ------
    BenchError
        If the sweep itself cannot be run, the photos cannot be found or cut, or the objective is
        none of the metrics.
    """
    from outliers_bench.tracking.store import check_uri

    check_plugins(config.hydra)
    if space.leaves("tracking"):
        check_uri(str(config.tracking.uri))
    _check_objective(config, space)
    if space.leaves("weights_dir") and config.weights_dir is not None:
        check_folder(Path(config.weights_dir))
    if space.leaves("data"):
        _check_data(config, space)
    check_storage(config.hydra)


def _check_objective(config: DictConfig, space: Space) -> None:
    search = is_search(config.hydra)
    if search and "objective" in space.keys:
        raise BenchError("objective: a search looks for the best of one objective; give one alone")
    if not space.leaves("objective"):
        return
    check_known(config.objective, list(config.k))
    if (search or "objective" in space.given) and space.leaves("k"):
        check_objective(config.objective, list(config.k))


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
        split = splits.load(source, seed=int(config.seed), cache=cache.path)
        if is_search(config.hydra) and space.leaves("objective") and space.leaves("k"):
            check_objective(config.objective, list(config.k), labeled=split.labeled)

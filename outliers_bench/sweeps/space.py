"""What a sweep varies, and what none of its jobs could do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.sweeps.objective import check_objective

BASIC = "hydra._internal.core_plugins."  # where Hydra's own sweeper and launcher stand


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
        """What a composed config with Hydra's own part in it sweeps."""
        loader = GlobalHydra.instance().config_loader()
        sweeper = config.hydra.sweeper
        params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        parser = OverridesParser.create(config_loader=loader)
        own, typed = (
            parser.parse_overrides(list(words)) for words in (params, config.hydra.overrides.task)
        )
        swept = [override for override in (*own, *typed) if override.is_sweep_override()]
        n_jobs: int | None = sweeper.get("n_trials")
        if n_jobs is None and all(override.is_discrete_sweep() for override in swept):
            n_jobs = math.prod(sum(1 for _ in override.sweep_iterator()) for override in swept)
        return cls(
            keys=tuple(override.key_or_group for override in swept),
            given=tuple(o.key_or_group for o in typed if not o.is_sweep_override()),
            beside=tuple(str(o.input_line) for o in own if o.is_sweep_override()),
            n_jobs=n_jobs,
        )

    def leaves(self, group: str) -> bool:
        """Whether every job has the same of a group of options, as far as can be told."""
        own = any(key == group or key.startswith((f"{group}.", f"{group}/")) for key in self.keys)
        # An experiment may say anything, but the command line has the last word.
        elsewhere = any(key.startswith("experiments") for key in self.keys)
        return not own and (group in self.given or not elsewhere)


def check(config: DictConfig, space: Space) -> None:
    """Refuse what no job of the sweep could do, before there is anything to record.

    Raises
    ------
    BenchError
        If the photos cannot be found or cut, or the objective is none of the scores.
    """
    from outliers_bench.config import Cache
    from outliers_bench.tracking.store import check_uri

    if space.leaves("tracking"):
        check_uri(str(config.tracking.uri))
    if needs_objective(config.hydra) and space.leaves("k") and space.leaves("objective"):
        check_objective(config.objective, list(config.k))
    if not space.leaves("data"):
        return
    cache = Cache(dir=str(config.cache.dir))
    cache.check()
    try:
        source = OmegaConf.to_object(config.data)
    except MissingMandatoryValue as error:
        key = str(error.full_key or error.key)
        raise BenchError(f"{key} is missing: give it as {key}=<value>") from error
    if isinstance(source, DataSource):
        split = source.load(seed=int(config.seed), cache=cache.path)
        if needs_objective(config.hydra) and space.leaves("objective"):
            check_objective(config.objective, list(config.k), labelled=split.labelled)


def needs_objective(hydra: DictConfig | HydraConf) -> bool:
    """Whether the jobs are those of a sweeper that learns from what they return."""
    return hydra.mode is not RunMode.RUN and not str(hydra.sweeper._target_).startswith(BASIC)

"""What Hydra does before every run that this program does not need: a quarter of its start."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.hydra import Hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

_MAY_SET_THE_MODE = ("hydra", "experiments", "-c", "--config")
_get_mode = Hydra.get_mode


def spare_copies() -> None:
    """Keep Hydra from copying all that it was told before each composition.

    It copies where it looks for files, so that it may look elsewhere for a while, and with that
    the store of schemas and experiments, which it reads alone.
    """
    ConfigStore.__deepcopy__ = lambda store, memo: store  # type: ignore[attr-defined]  # noqa: ARG005


def spare_mode(arguments: Sequence[str]) -> None:
    """Keep Hydra from composing everything once more, only to see whether it sets `hydra.mode`.

    Parameters
    ----------
    arguments : sequence of str
        Of the command line. Only options of Hydra's own, experiments and a user's own files of
        config can set it.
    """
    set_there = any(word.lstrip("+~").startswith(_MAY_SET_THE_MODE) for word in arguments)
    Hydra.get_mode = _get_mode if set_there else _none  # type: ignore[method-assign]


def _none(self: Hydra, config_name: str | None, overrides: list[str]) -> None:
    """What Hydra takes for a mode that is not set."""


_SHARED = 32  # compositions that are kept for other jobs with the same choices
_KEPT = 64  # configs between Hydra's look at them and their job, some 100 kB each


class Compositions:
    """Stands for a loader's `load_sweep_config`, and gives what that would give.

    Hydra composes every job twice, first to see that it can be done, and each time it reads and
    merges some thirty files, which takes longer than many a job from stored features. Yet a value
    such as `pca.n=100` changes nothing in what is merged: it is set in the result. So jobs with
    the same choices share one composition, and what was composed for the first look is taken for
    the job.

    Parameters
    ----------
    loader : ConfigLoaderImpl
        Hydra's own.
    """

    def __init__(self, loader: ConfigLoaderImpl) -> None:
        self._loader = loader
        self._plain = loader.load_sweep_config
        self._by_choices: dict[tuple[str, ...], DictConfig] = {}
        self._looked_at: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """The config of the job with those overrides; see Hydra's `ConfigLoader`."""
        words = tuple(sweep_overrides)
        config = self._looked_at.pop(words, None)
        if config is None:
            config = self._compose(master_config, words)
            if len(self._looked_at) < _KEPT:
                self._looked_at[words] = deepcopy(config)
        # What was asked of the clock for the sweep, its jobs are told as well.
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def _compose(self, master_config: DictConfig, words: Sequence[str]) -> DictConfig:
        try:
            parsed = OverridesParser.create().parse_overrides(list(words))
        except HydraException:  # it says so better
            return self._plain(master_config, list(words))
        if master_config.hydra.searchpath or not all(map(_is_plain, parsed)):
            return self._plain(master_config, list(words))
        values = [o for o in parsed if not self._loader.repository.group_exists(o.key_or_group)]
        choices = tuple(str(o.input_line) for o in parsed if o not in values)
        shared = self._by_choices.get(choices)
        if shared is None:
            shared = self._plain(master_config, list(choices))
            if len(self._by_choices) == _SHARED:
                self._by_choices.pop(next(iter(self._by_choices)))
            self._by_choices[choices] = shared
        config = deepcopy(shared)
        try:
            self._loader._apply_overrides_to_config(values, config)
        except (HydraException, OmegaConfBaseException):
            return self._plain(master_config, list(words))
        return self._signed(config, parsed)

    def _signed(self, config: DictConfig, overrides: list[Override]) -> DictConfig:
        """A config with what Hydra notes in it of the overrides it was made by."""
        job = config.hydra.job
        names = job.config.override_dirname
        with open_dict(config.hydra):
            config.hydra.overrides.task = [str(override.input_line) for override in overrides]
            job.override_dirname = get_overrides_dirname(
                overrides=overrides,
                kv_sep=names.kv_sep,
                item_sep=names.item_sep,
                exclude_keys=names.exclude_keys,
            )
        return config


def compose_once(loader: ConfigLoader) -> None:
    """Have a loader compose for a sweep what its jobs share once; see `Compositions`."""
    if isinstance(loader, ConfigLoaderImpl):
        loader.load_sweep_config = Compositions(loader)  # type: ignore[method-assign]


def _is_plain(override: Override) -> bool:
    """Whether it is one job's and changes nothing of Hydra's own."""
    return not (
        override.is_sweep_override()
        or override.is_hydra_override()
        or isinstance(override.value(), dict)
    )

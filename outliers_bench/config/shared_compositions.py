"""Compositions that the jobs of a sweep share, with the same results as Hydra's own."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

_SHARED = 32  # compositions cached for other jobs with the same choices
_PENDING = 64  # configs that Hydra has validated and not yet run, some 100 kB each


class Compositions:
    """Replacement of a loader's `load_sweep_config` with the same results.

    Hydra composes every job twice, first to validate it, and each time reads and merges some
    thirty files, which takes longer than many jobs from stored features. A value such as
    `pca.n=100` does not change what is merged: it is set in the result. Jobs with the same choices
    therefore share one composition, and the config composed for validation is used for the job.

    Parameters
    ----------
    loader : ConfigLoader
        Hydra's loader.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._plain = loader.load_sweep_config
        self._groups: dict[str, list[str]] = {}  # by the group they are in
        self._by_choices: dict[tuple[str, ...], DictConfig] = {}
        self._looked_at: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """Return the config of the job with these overrides; see Hydra's `ConfigLoader`."""
        words = tuple(sweep_overrides)
        config = self._looked_at.pop(words, None)
        if config is None:
            config = self._compose(master_config, words)
            if len(self._looked_at) < _PENDING:
                self._looked_at[words] = deepcopy(config)
        # Jobs share the sweep's resolved times, such as ${now:...}.
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def _compose(self, master_config: DictConfig, words: Sequence[str]) -> DictConfig:
        try:
            parsed = OverridesParser.create().parse_overrides(list(words))
        except HydraException:  # whose own message is better
            return self._plain(master_config, list(words))
        if master_config.hydra.searchpath or not all(map(_is_plain, parsed)):
            return self._plain(master_config, list(words))
        values = [override for override in parsed if self._is_value(override)]
        choices = tuple(str(o.input_line) for o in parsed if o not in values)
        shared = self._by_choices.get(choices)
        if shared is None:
            shared = self._plain(master_config, list(choices))
            if len(self._by_choices) == _SHARED:
                self._by_choices.pop(next(iter(self._by_choices)))
            self._by_choices[choices] = shared
        config = deepcopy(shared)
        try:
            for override in values:
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        except (HydraException, OmegaConfBaseException):
            return self._plain(master_config, list(words))
        return _with_overrides(config, parsed)

    def _is_value(self, override: Override) -> bool:
        """Check whether an override sets an existing option to a value."""
        parent, _, name = override.key_or_group.rpartition("/")
        if parent not in self._groups:
            self._groups[parent] = self._loader.list_groups(parent)
        is_change = override.type is OverrideType.CHANGE and override.package is None
        return is_change and name not in self._groups[parent]


def compose_once(loader: ConfigLoader) -> None:
    """Let a loader compose once what the jobs of a sweep share; see `Compositions`.

    Hydra has no place for another loader, and composes in its sweepers and in each launcher. So the
    public method that they call is replaced, on this one object.
    """
    loader.load_sweep_config = Compositions(loader)  # type: ignore[method-assign]


def _is_plain(override: Override) -> bool:
    """Check whether an override is for one job and changes no option of Hydra."""
    return not (
        override.is_sweep_override()
        or override.is_hydra_override()
        or isinstance(override.value(), dict)
    )


def _with_overrides(config: DictConfig, overrides: list[Override]) -> DictConfig:
    """Return the config with the overrides that Hydra records in it."""
    job, names = config.hydra.job, config.hydra.job.config.override_dirname
    lines = [str(o.input_line) for o in overrides if o.key_or_group not in names.exclude_keys]
    with open_dict(config.hydra):
        config.hydra.overrides.task = [str(override.input_line) for override in overrides]
        job.override_dirname = names.item_sep.join(sorted(lines)).replace("=", names.kv_sep)
    return config

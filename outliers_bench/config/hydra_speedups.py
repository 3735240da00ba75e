"""Work of Hydra that runs can do without, a quarter of the startup time."""

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
    """Keep Hydra from copying its store of schemas and experiments before each composition.

    Hydra copies its search path, to change it for a while, and with it the store, which it only
    reads.
    """
    ConfigStore.__deepcopy__ = lambda store, memo: store  # type: ignore[attr-defined]  # noqa: ARG005


def spare_mode(arguments: Sequence[str]) -> None:
    """Keep Hydra from composing everything once more just to read `hydra.mode`.

    Parameters
    ----------
    arguments : sequence of str
        Command line. Only options of Hydra, experiments and config files of the user can set the
        mode.
    """
    set_there = any(word.lstrip("+~").startswith(_MAY_SET_THE_MODE) for word in arguments)
    Hydra.get_mode = _get_mode if set_there else _none  # type: ignore[method-assign]


def _none(self: Hydra, config_name: str | None, overrides: list[str]) -> None:
    """Return None, as for a mode that is not set."""


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
    loader : ConfigLoaderImpl
        Hydra's loader.
    """

    def __init__(self, loader: ConfigLoaderImpl) -> None:
        self._loader = loader
        self._plain = loader.load_sweep_config
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
        """Return the config with the overrides that Hydra records in it."""
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
    """Let a loader compose once what the jobs of a sweep share; see `Compositions`."""
    if isinstance(loader, ConfigLoaderImpl):
        loader.load_sweep_config = Compositions(loader)  # type: ignore[method-assign]


def _is_plain(override: Override) -> bool:
    """Check whether an override is for one job and changes no option of Hydra."""
    return not (
        override.is_sweep_override()
        or override.is_hydra_override()
        or isinstance(override.value(), dict)
    )

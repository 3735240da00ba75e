"""What Hydra does before every run that this program does not need: a quarter of its start."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.hydra import Hydra
from hydra.core.config_store import ConfigStore

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

"""Options of a Python call, composed from conf/ and checked like those of the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from outliers_bench.config.schema import Config
from outliers_bench.errors import BenchError
from outliers_bench.runtime.text_values import quote

Options = Mapping[str, object]


def compose(
    options: Options, more: Options | None = None, *, change: Callable[[Config], None] | None = None
) -> Config:
    """Compose and check a config; the state of Hydra remains as it was.

    Parameters
    ----------
    options : mapping of str to object
        Values by option; None leaves the default.
    more : mapping of str to object, optional
        Values by option as on the command line, such as `{"model.image_size": 160}`; None is null.
    change : callable, optional
        Changes the config before it is checked.

    Raises
    ------
    BenchError
        If an option does not exist, has a wrong value, or is given twice.
    """
    from hydra import compose as compose_with_hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from outliers_bench.config.hydra_errors import explain
    from outliers_bench.config.schema import register, to_unchecked
    from outliers_bench.config.text_options import to_hydra

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow lists what it lacks
    register()
    words = to_hydra(to_words(options, more))
    with _own_hydra():  # also for the check, which composes the members of an ensemble
        try:
            config = to_unchecked(compose_with_hydra("config", words))
        except (HydraException, OmegaConfBaseException) as error:
            raise BenchError(explain(error)) from error
        if change is not None:
            change(config)
        config.check()
    return config


def to_words(options: Options, more: Options | None = None) -> list[str]:
    """Return the words of a command line with the same options; see `compose`."""
    given = {name: value for name, value in options.items() if value is not None}
    if twice := given.keys() & (more or {}).keys():
        raise BenchError(f"{min(twice)} is given twice: as an argument and in options")
    return [f"{name}={_text(value)}" for name, value in {**given, **(more or {})}.items()]


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Initialize Hydra with conf/, even within another program that uses Hydra."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.version import VersionBase

    from outliers_bench.config.paths import resource_dir

    other, version = GlobalHydra.instance().hydra, VersionBase.instance().getbase()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = other
        VersionBase.instance().version_base = version


def _text(value: Any) -> str:  # noqa: ANN401
    """Write a value in the grammar of Hydra's command line."""
    if value is None:
        return "null"
    if isinstance(value, Enum):
        value = value.name
    if hasattr(value, "tolist"):  # numbers and arrays of numpy
        value = value.tolist()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_text(item)}' for key, item in value.items())}}}"
    if isinstance(value, str | Path):
        return quote(str(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return f"[{','.join(map(_text, value))}]"
    raise BenchError(f"{value!r} cannot be an option: give text, a number, a list or None")

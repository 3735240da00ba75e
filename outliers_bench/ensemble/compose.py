"""Members of an ensemble as they are written, `mobilenet image_size=160`, as checked options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from outliers_bench.errors import BenchError
from outliers_bench.explain import explain
from outliers_bench.features.extractor import Model

_HOW = "write each as a model's name and its options, as in ['mobilenet image_size=160',sift]"


def compose_members(members: Sequence[str], *, seed: int, conf: Path) -> list[Model]:
    """The models that members name, with their options.

    Parameters
    ----------
    members : sequence of str
        Each the name of a `model=` option and, after spaces, options of its own.
    seed : int
        The run's, for members that have one.
    conf : Path
        Where options are looked for outside of a run; inside one, Hydra knows.

    Raises
    ------
    BenchError
        If a model or an option does not exist, or a value is of the wrong type.
    """
    where: AbstractContextManager[Any] = nullcontext()
    if not GlobalHydra.instance().is_initialized():
        where = initialize_config_dir(str(conf), version_base="1.3")
    with where:
        return [_member(member, seed) for member in members]


def _member(member: str, seed: int) -> Model:
    if not isinstance(member, str) or not member.strip():
        raise BenchError(f"model.members, {member!r}: that names no model; {_HOW}")
    try:
        name, *options = shlex.split(member)
    except ValueError as error:
        raise BenchError(f"model.members, {member!r}: {error}; {_HOW}") from error
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or name.lower() in ("true", "false", "null"):
        raise BenchError(f"model.members, {member!r}: {name} is no name of a model; {_HOW}")
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise BenchError(f"model.members, {member!r}: {wrong[0]} is no option; {_HOW}")
    try:
        cfg = compose(
            None, [f"+seed={seed}", f"+model={name}", *(f"model.{option}" for option in options)]
        )
        model = OmegaConf.to_object(cfg.model)
    except MissingMandatoryValue as error:
        raise BenchError(f"model.members, {member!r}: {error}") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise BenchError(f"model.members, {member!r}: {explain(error)}") from error
    if not isinstance(model, Model):
        raise BenchError(f"model.members, {member!r}: that is no model; {_HOW}")
    return model

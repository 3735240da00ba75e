"""Members of an ensemble as they are written, `mobilenet image_size=160`, as checked options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from outliers_bench.errors import BenchError
from outliers_bench.features.extractor import Model

_HOW = "write each as a model's name and its options, as in ['mobilenet image_size=160',sift]"


def compose_members(
    members: Sequence[str], *, shared: Mapping[str, Any], conf: Path, option: str
) -> list[Model]:
    """The models that members name, with their options.

    Parameters
    ----------
    members : sequence of str
        Each the name of a `model=` option and, after spaces, options of its own.
    shared : mapping of str to object
        What members take over from the run, such as the seed.
    conf : Path
        Where options are looked for outside of a run; inside one, Hydra knows.
    option : str
        Where the names stand, for messages.

    Raises
    ------
    BenchError
        If a model or an option does not exist, or a value is of the wrong type.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    where: AbstractContextManager[Any] = nullcontext()
    if not GlobalHydra.instance().is_initialized():
        where = initialize_config_dir(str(conf), version_base="1.3")
    with where:
        return [_member(member, shared, f"{option}, {member!r}") for member in members]


def _member(member: str, shared: Mapping[str, Any], told: str) -> Model:
    from hydra import compose
    from hydra.errors import HydraException

    from outliers_bench.explain import explain

    if not isinstance(member, str) or not member.strip():
        raise BenchError(f"{told}: that names no model; {_HOW}")
    try:
        name, *options = shlex.split(member)
    except ValueError as error:
        raise BenchError(f"{told}: {error}; {_HOW}") from error
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or name.lower() in ("true", "false", "null"):
        raise BenchError(f"{told}: {name} is no name of a model; {_HOW}")
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise BenchError(f"{told}: {wrong[0]} is no option; {_HOW}")
    shared_options = [word for word in options if re.match(r"lr_schedule|augment|determin", word)]
    if shared_options:
        raise BenchError(
            f"{told}: members take lr_schedule, augment and deterministic over from the run; give "
            f"{shared_options[0].partition('=')[0]}= beside model="
        )
    try:
        cfg = compose(None, [f"+model={name}", *(f"model.{option}" for option in options)])
        with open_dict(cfg):
            cfg.update({key: _node(value) for key, value in shared.items()})
        model = OmegaConf.to_object(cfg.model)
    except MissingMandatoryValue as error:
        raise BenchError(f"{told}: {error}") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise BenchError(f"{told}: {explain(error)}") from error
    if not isinstance(model, Model):
        raise BenchError(f"{told}: that is no model; {_HOW}")
    return model


def _node(value: object) -> Any:  # noqa: ANN401
    return OmegaConf.structured(value) if is_dataclass(value) else value

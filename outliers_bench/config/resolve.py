"""Composition of models that other models name: members of an ensemble, the backbone of a head."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from outliers_bench.config.text_options import to_hydra
from outliers_bench.errors import BenchError
from outliers_bench.models.model import Compose, Model
from outliers_bench.runtime.text_values import split_words

_HOW = "write each as a model's name and its options, as in ['mobilenet image_size=160',sift]"


def composer(shared: Mapping[str, Any], conf: Path) -> Compose:
    """Return a function that composes the models that names refer to, with their options.

    It takes names of `model=` choices, each followed by its options after spaces, and the option
    that has the names, for messages. It raises `BenchError` if a model or an option does not exist,
    or a value is of the wrong type. Models share the options `shared` with the run; `conf` is the
    config folder, for use outside of a run.
    """

    def compose_models(members: Sequence[str], option: str) -> list[Model]:
        from hydra import initialize_config_dir
        from hydra.core.global_hydra import GlobalHydra

        where: AbstractContextManager[Any] = nullcontext()
        if not GlobalHydra.instance().is_initialized():
            where = initialize_config_dir(str(conf), version_base="1.3")
        with where:
            return [_member(member, shared, f"{option}, {member!r}") for member in members]

    return compose_models


def _member(member: str, shared: Mapping[str, Any], where: str) -> Model:
    from hydra import compose
    from hydra.errors import HydraException

    from outliers_bench.config.hydra_errors import explain

    if not isinstance(member, str) or not member.strip():
        raise BenchError(f"{where}: not a model; {_HOW}")
    try:
        name, *options = split_words(member)
    except ValueError as error:
        raise BenchError(f"{where}: {error}; {_HOW}") from error
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or name.lower() in ("true", "false", "null"):
        raise BenchError(f"{where}: {name} is not a model; {_HOW}")
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise BenchError(f"{where}: {wrong[0]} is not an option; {_HOW}")
    shared_options = [word for word in options if re.match(r"lr_schedule|augment|determin", word)]
    if shared_options:
        raise BenchError(
            f"{where}: members share lr_schedule, augment and deterministic with the run; give "
            f"{shared_options[0].partition('=')[0]}= next to model="
        )
    try:
        words = to_hydra([f"model.{option}" for option in options])
        cfg = compose(None, [f"+model={name}", *words])
        with open_dict(cfg):
            cfg.update({key: _node(value) for key, value in shared.items()})
        model = OmegaConf.to_object(cfg.model)
    except MissingMandatoryValue as error:
        raise BenchError(f"{where}: {error}") from error
    except (HydraException, OmegaConfBaseException) as error:
        message = re.sub(r"\bmodel\.(?=\w)", "", explain(error))
        raise BenchError(f"{where}: {message}") from error
    if not isinstance(model, Model):
        raise BenchError(f"{where}: not a model; {_HOW}")
    return model


def _node(value: object) -> Any:  # noqa: ANN401
    return OmegaConf.structured(value) if is_dataclass(value) else value

"""Resolution of names in a model: members of an ensemble, the backbone of a head, weight files."""

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

from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.model import Model
from outliers_bench.models.weights_folder import imagenet_file
from outliers_bench.training.models import Transfer


def resolve_names(
    model: Model, *, shared: Mapping[str, Any], weights_dir: str | None, conf: Path
) -> None:
    """Replace names in a model with the models and weight files that they refer to.

    Parameters
    ----------
    model : Model
        Changed in place: members of an ensemble, the backbone of a head, and `weights=imagenet` if
        `weights_dir` has the file.
    shared : mapping of str to object
        Options that members share with the run; see `SHARED`.
    weights_dir : str or None
        Folder with files of ImageNet weights.
    conf : Path
        Config folder, for use outside of a Hydra run.

    Raises
    ------
    BenchError
        If a name or an option does not exist.
    """
    if isinstance(model, Ensemble):
        model.models = tuple(
            compose_members(model.members, shared=shared, conf=conf, option="model.members")
        )
        for place, member in enumerate(model.models):
            before = getattr(member, "weights", None)
            resolve_names(member, shared=shared, weights_dir=weights_dir, conf=conf)
            weights = getattr(member, "weights", None)
            if weights != before:  # tables identify members by their text
                model.members[place] += f" weights={shlex.quote(str(weights))}"
    if isinstance(model, Backbone):
        model.weights = _from_folder(model, model.weights, weights_dir)
    if isinstance(model, Transfer):
        if not re.fullmatch(r"\w+", str(model.backbone)):
            raise BenchError(
                f"model.backbone={model.backbone}: the name of a backbone alone, such as "
                "mobilenet; its options are the model's own"
            )
        (base,) = compose_members(
            [model.backbone], shared=shared, conf=conf, option="model.backbone"
        )
        if not isinstance(base, Backbone):
            raise BenchError(
                f"model.backbone={model.backbone}: not a backbone; give the name of one, such "
                "as mobilenet (python -m outliers_bench --help lists them)"
            )
        model.base = base
        model.weights = _from_folder(model.base, model.weights, weights_dir)


def _from_folder(backbone: Backbone, weights: str, weights_dir: str | None) -> str:
    """Return the file of ImageNet weights in `weights_dir`, or `weights` if there is none."""
    if weights != "imagenet" or weights_dir is None:
        return weights
    folder = Path(weights_dir)
    file = imagenet_file(folder, backbone.keras, image_size=backbone.image_size)
    return weights if file is None else str(file)


_HOW = "write each as a model's name and its options, as in ['mobilenet image_size=160',sift]"


def compose_members(
    members: Sequence[str], *, shared: Mapping[str, Any], conf: Path, option: str
) -> list[Model]:
    """Compose the models that members name, with their options.

    Parameters
    ----------
    members : sequence of str
        Name of a `model=` choice and, after spaces, its options.
    shared : mapping of str to object
        Options that members share with the run, such as the seed.
    conf : Path
        Config folder, for use outside of a run.
    option : str
        Option that has the names, for messages.

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


def _member(member: str, shared: Mapping[str, Any], where: str) -> Model:
    from hydra import compose
    from hydra.errors import HydraException

    from outliers_bench.config.hydra_errors import explain

    if not isinstance(member, str) or not member.strip():
        raise BenchError(f"{where}: not a model; {_HOW}")
    try:
        name, *options = shlex.split(member)
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
        cfg = compose(None, [f"+model={name}", *(f"model.{option}" for option in options)])
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

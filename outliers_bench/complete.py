"""Models that name others (a head its backbone, an ensemble its members), with what they name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.ensemble.compose import compose_members
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError
from outliers_bench.features.backbone import Backbone
from outliers_bench.features.extractor import Model
from outliers_bench.features.weights_folder import imagenet_file
from outliers_bench.training.models import Transfer
from outliers_bench.training.options import SHARED

if TYPE_CHECKING:
    from outliers_bench.config import Config


def complete(model: Model, config: Config, *, conf: Path) -> None:
    """Give a model that names others what the names stand for, and networks their files.

    Parameters
    ----------
    model : Model
        Completed in place: members of an ensemble, the backbone below a head, and
        `weights=imagenet` where `weights_dir` has the file.
    config : Config
        The run, for what members take over from it.
    conf : Path
        Where options are looked for outside of a Hydra run.

    Raises
    ------
    BenchError
        If a name or an option behind it stands for nothing.
    """
    shared = {name: getattr(config, name) for name in SHARED}
    if isinstance(model, Ensemble):
        model.models = tuple(
            compose_members(model.members, shared=shared, conf=conf, option="model.members")
        )
        for place, member in enumerate(model.models):
            before = getattr(member, "weights", None)
            complete(member, config, conf=conf)
            weights = getattr(member, "weights", None)
            if weights != before:  # tables tell members by how they are written
                model.members[place] += f" weights={shlex.quote(str(weights))}"
    if isinstance(model, Backbone):
        model.weights = _from_folder(model, model.weights, config)
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
                f"model.backbone={model.backbone}: that is no backbone; give the name of one, such "
                "as mobilenet (python -m outliers_bench --help lists them)"
            )
        model.base = base
        model.weights = _from_folder(model.base, model.weights, config)


def _from_folder(backbone: Backbone, weights: str, config: Config) -> str:
    """A backbone's file of ImageNet weights below `weights_dir`; `weights` where it has none."""
    if weights != "imagenet" or config.weights_dir is None:
        return weights
    folder = Path(config.weights_dir)
    file = imagenet_file(folder, backbone.keras, image_size=backbone.image_size)
    return weights if file is None else str(file)

"""Tags of the runs that measure a published row, and the options that make another run of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omegaconf import DictConfig

from outliers_bench.config.published import Published
from outliers_bench.config.roles import role
from outliers_bench.models.model_uris import is_model_uri

# Options that repeat a row on other photos, by chance, with other cutoffs, clusters or last bits.
_REPEATING = {
    *("data", "hydra", "experiments", "seed", "k", "deterministic", "statistics"),
    "engine.batch_size",
}


def tags(
    node: Published | DictConfig, overrides: Sequence[str] = (), *, precision: str = ""
) -> dict[str, str]:
    """Return the MLflow tags that name the published row of a run; empty for other runs.

    A row with a changed option is no longer that row.

    Parameters
    ----------
    node : Published or DictConfig
        The run's `published`.
    overrides : sequence of str
        Command line.
    precision : str
        What the features are computed in, from `precision_label`: empty for float32.
    """
    if not node.table or not node.row or changes(overrides, precision=precision):
        return {}
    table, row = str(node.table), str(node.row)
    return {"table": table, "row": row, f"published.{table}": row}


def changes(overrides: Sequence[str], *, precision: str = "") -> list[str]:
    """Return the overrides that make another run of a published row.

    Includes a precision other than float32 that was not requested: on a GPU, `auto` is bfloat16.
    """
    experiments = [word for word in overrides if word.lstrip("+").startswith("experiments")]
    more = experiments if len(experiments) > 1 else []
    found = [*more, *(override for override in overrides if not _is_allowed(override))]
    if precision and not any(_key(override) == "engine.precision" for override in found):
        found.append(f"engine.precision={precision}")
    return found


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _is_allowed(override: str) -> bool:
    key, value = _key(override), override.partition("=")[2]
    # A file is taken for ImageNet weights, as in the row; a model in MLflow is a trained network.
    if key == "model.weights":
        weights = value.strip("'\"")
        return weights != "random" and not is_model_uri(weights)
    # The figures are for float32; the run's own precision says what `auto` was.
    if key == "engine.precision":
        return value.strip("'\"") in ("auto", "f32")
    group = re.split(r"[./@]", key)[0]
    return bool(_REPEATING & {group, key}) or (role(key) != "result" and group != "published")

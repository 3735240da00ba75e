"""Names that options and tags had in earlier versions."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

OPTIONS = {
    "model.views": "model.tta",
    "model.pool": "model.fusion_depth",
    "model.tune_on": "model.tune_images",
    "model.root": "model.rootsift",
    "model.mutual": "model.cross_check",
    "model.threshold": "model.reproj_threshold",
    "rerank.root": "rerank.rootsift",
    "rerank.mutual": "rerank.cross_check",
    "rerank.threshold": "rerank.reproj_threshold",
    "index.lists": "index.nlist",
    "index.probes": "index.nprobe",
    "index.bits": "index.nbits",
    "index.trees": "index.n_trees",
    "l2.before": "l2.before_reduction",
    "l2.after": "l2.after_reduction",
    "pictures": "contact_sheets",
}
TAGS = {"pca": "reduction", "metric": "similarity"}
METRICS = {
    "queries_unanswerable": "queries_without_relevant",
    "leaks_unjudged": "images_not_compared",
    "training_kept": "training_reused",
}


def new_option(name: str) -> str | None:
    """Return today's name of an option, or None if it was not renamed.

    Examples
    --------
    >>> new_option("model.views.flip"), new_option("pictures.depth"), new_option("pca.n")
    ('model.tta.flip', 'contact_sheets.depth', None)
    """
    for old, new in OPTIONS.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return None


def refusal(name: str) -> str | None:
    """Return the message that refuses an option's old name; None if it was not renamed."""
    new = new_option(name)
    return new and f"{name} was renamed to {new}"


def update_member(text: str) -> str:
    """Replace old option names in an ensemble member, such as `pixels views.flip=true`."""
    return re.sub(
        r"(?<= )([\w.]+)(?==)",
        lambda found: (new_option(f"model.{found[1]}") or found[1]).removeprefix("model."),
        text,
    )


def update_overrides(text: str) -> str:
    """Replace old option names in the command line of a run, as its tag `overrides` has it.

    Examples
    --------
    >>> update_overrides("model=pixels +l2.before=true 'k=[1, 5]'")
    "model=pixels +l2.before_reduction=true 'k=[1, 5]'"
    """
    words = []
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        bare = name.lstrip("+~")
        sign = name.removesuffix(bare)
        words.append(f"{sign}{new_option(bare) or bare}{equals}{update_member(value)}")
    return shlex.join(words)


def update_options(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Replace old option names in the recorded config of a run.

    Parameters
    ----------
    values : mapping of str to object
        Nested plain values.
    prefix : str
        Name of the group they are in, with a point at its end.

    Examples
    --------
    >>> update_options({"l2": {"before": True}, "pictures": {"depth": 3}})
    {'l2': {'before_reduction': True}, 'contact_sheets': {'depth': 3}}
    """
    updated: dict[str, Any] = {}
    for key, value in values.items():
        name = new_option(f"{prefix}{key}") or f"{prefix}{key}"
        current = value
        if isinstance(value, Mapping):
            current = update_options(value, f"{name}.")
        elif name == "model.members":
            current = [update_member(str(member)) for member in value]
        updated[name.removeprefix(prefix)] = current
    return updated


def update_names(values: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Replace old names of tags, metrics, or flat params.

    Parameters
    ----------
    values : mapping of str to object
        By name.
    renamed : mapping of str to str
        `TAGS`, `METRICS` or `OPTIONS`.
    """
    if renamed is OPTIONS:
        return {new_option(name) or name: value for name, value in values.items()}
    return {renamed.get(name, name): value for name, value in values.items()}

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
    return new and f"{name} was renamed; use {new}"


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
    try:
        given = shlex.split(text)
    except ValueError:  # MLflow cuts long tags
        return text
    words = []
    for word in given:
        name, equals, value = word.partition("=")
        bare = name.lstrip("+~")
        sign = name.removesuffix(bare)
        words.append(f"{sign}{new_option(bare) or bare}{equals}{update_member(value)}")
    return shlex.join(words)


def update_label(text: str) -> str:
    """Replace old option names in the label of an index, a re-ranking or a model's variant.

    Examples
    --------
    >>> update_label("faiss_ivfpq probes=4")
    'faiss_ivfpq nprobe=4'
    """
    names = {old.rpartition(".")[2]: new.rpartition(".")[2] for old, new in OPTIONS.items()}
    return re.sub(
        r"(?<![\w.])(\w+)(?=(\.\w+)?=)", lambda found: names.get(found[1], found[1]), text
    )


def original_names(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Replace today's option names by those of the first version.

    A run's identity is a digest of these, so that renaming an option does not make another run.

    Parameters
    ----------
    values : mapping of str to object
        Nested plain values; the members of an ensemble as mappings.
    prefix : str
        Name of the group they are in, with a point at its end.

    Examples
    --------
    >>> original_names({"l2": {"before_reduction": True}, "model": {"members": [{"tta": None}]}})
    {'l2': {'before': True}, 'model': {'members': [{'views': None}]}}
    """
    old_names = {new: old for old, new in OPTIONS.items()}
    original: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        stored = value
        if isinstance(value, Mapping):
            stored = original_names(value, f"{name}.")
        elif name == "model.members":
            stored = [original_names(member, prefix) for member in value]
        original[old_names.get(name, name).removeprefix(prefix)] = stored
    return original


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


def _update_param(name: str) -> str:
    """Replace an old option name in the name of a param, also of a member of an ensemble."""
    if found := re.fullmatch(r"(model\.resolved\.[^.]*)\.(.+)", name):
        option = new_option(f"model.{found[2]}") or f"model.{found[2]}"
        return f"{found[1]}.{option.removeprefix('model.')}"
    return new_option(name) or name


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
        return {_update_param(name): value for name, value in values.items()}
    return {renamed.get(name, name): value for name, value in values.items()}

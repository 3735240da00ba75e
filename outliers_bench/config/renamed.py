"""Names that options and tags had in earlier versions."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
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


def original_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replace today's option names by those of the first version, in nested plain values.

    A run's identity is a digest of these, so that renaming an option does not make another run. The
    members of an ensemble are mappings.

    Examples
    --------
    >>> original_names({"l2": {"before_reduction": True}, "model": {"members": [{"tta": None}]}})
    {'l2': {'before': True}, 'model': {'members': [{'views': None}]}}
    """
    old_names = {new: old for old, new in OPTIONS.items()}

    def rename(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        return _rename(values, lambda name: old_names.get(name, name), prefix, rename)

    return rename(values, "")


def update_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replace old option names in the recorded config of a run, nested plain values.

    Examples
    --------
    >>> update_options({"l2": {"before": True}, "pictures": {"depth": 3}})
    {'l2': {'before_reduction': True}, 'contact_sheets': {'depth': 3}}
    """
    return _rename(
        values, lambda name: new_option(name) or name, "", lambda member, _: update_member(member)
    )


def _rename(
    values: Mapping[str, Any],
    rename: Callable[[str], str],
    prefix: str,
    rename_member: Callable[[Any, str], object],
) -> dict[str, Any]:
    """Rename nested options; `prefix` is the name of their group, with a point at its end."""
    renamed: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        new, inner = rename(name), value
        if isinstance(value, Mapping):
            inner = _rename(value, rename, f"{name}.", rename_member)
        elif name == "model.members":
            inner = [rename_member(member, prefix) for member in value]
        renamed[key if new == name else new.rpartition(".")[2]] = inner
    return renamed


def update_params(params: Mapping[str, str]) -> dict[str, str]:
    """Replace old option names in flat params, also of the members of an ensemble."""
    updated = {}
    for name, value in params.items():
        label, option = "", name
        if found := re.fullmatch(r"(model\.resolved\.[^.]*)\.(.+)", name):
            label, option = found[1], f"model.{found[2]}"
        new = new_option(option) or option
        updated[f"{label}.{new.removeprefix('model.')}" if label else new] = value
    return updated


def update_names(values: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Replace the names of `TAGS` or `METRICS`."""
    return {renamed.get(name, name): value for name, value in values.items()}

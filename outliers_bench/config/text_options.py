"""Overrides as people type them, and as Hydra reads them: text options get exactly what was typed.

Which options take text is read from the schema. Their values are quoted before Hydra parses the
words, and the recorded words are those that were typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import cast, get_type_hints

from omegaconf import OmegaConf

from outliers_bench.config.choices import SCHEMAS
from outliers_bench.errors import BenchError
from outliers_bench.runtime.text_values import (
    QUOTED,
    Text,
    escape,
    is_list,
    is_text,
    is_text_list,
    quote,
    read_list,
)

MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")
_OVERRIDE = re.compile(r"(\+{0,2}([\w.]+)=)(.*)", re.DOTALL)
_CHOICE = re.compile(r"choice\((.*)\)", re.DOTALL)
_FUNCTION = re.compile(r"(?:glob|interval|range|shuffle|sort|tag)\(.*\)", re.DOTALL)
_NEXT_LIST = re.compile(rf"(?:^|[\[,])\s*(?:{QUOTED.pattern})\s*(?=[,\]])|\]\s*,\s*(?=\[)", re.S)
_MIXED = re.compile(r"\]\s*,|,\s*\[")  # a value in brackets next to another


@cache
def text_options() -> dict[str, bool]:
    """Return the options that take text, by name; True if they take a list of it.

    Read from the schema that is registered with Hydra. An option has the same type in all choices
    of its group, apart from being optional.
    """
    return {
        name: is_text_list(kind) for name, kind in options() if is_text(kind) or is_text_list(kind)
    }


def options() -> Iterator[tuple[str, object]]:
    """Yield the name and the type of each option, once for each choice that has it."""
    from hydra.core.config_store import ConfigStore

    node = ConfigStore.instance().load("config_schema.yaml").node
    return _options(cast("type", OmegaConf.get_type(node)), "")


def _options(schema: type, prefix: str) -> Iterator[tuple[str, object]]:
    hints = get_type_hints(schema)
    for entry in fields(schema):
        name, kind = f"{prefix}{entry.name}", hints[entry.name]
        choices = SCHEMAS.get(name, {}).values() or [kind]
        for choice in choices:
            if is_dataclass(choice) and isinstance(choice, type):
                yield from _options(choice, f"{name}.")
            else:
                yield name, choice


@cache
def _groups() -> dict[str, set[str]]:
    """Return the names of the options of each group."""
    found: dict[str, set[str]] = {}
    for name, _ in options():
        group, _, option = name.partition(".")
        found.setdefault(group, set()).add(option.partition(".")[0])
    return found


def to_hydra(words: Sequence[str], *, multirun: bool = False) -> list[str]:
    """Write the words of a command line so that Hydra reads text options as they were typed.

    With `multirun`, commas separate several values, and `choice(a,b)` lists them; without, they are
    part of the text, except in a list, whose brackets may be omitted. The value `null` is none.

    Raises
    ------
    BenchError
        If a value between two commas is empty, or a function of Hydra makes numbers.
    """
    return [_to_hydra(word, multirun=multirun) for word in words]


def as_typed(words: Sequence[str]) -> list[str]:
    """Return words from `to_hydra` as they were typed."""
    return [_as_typed(word) for word in words]


def is_text_option(word: str) -> bool:
    """Check whether an override is of an option that takes text, other than a list of it."""
    return text_options().get(word.lstrip("+").partition("=")[0]) is False


def _to_hydra(word: str, *, multirun: bool) -> str:
    match = _OVERRIDE.fullmatch(word)
    if match is None or match[3] == "null":
        return word
    head, name, value = match.groups()
    lists = text_options().get(name)
    if lists is None:
        if value.startswith("{"):
            _check_mapping(word)
        # So that Hydra says what is wrong with the name, not with the value.
        return head + quote(value) if _is_misspelled(name) else word
    if multirun and _FUNCTION.fullmatch(value):
        raise BenchError(
            f"{word}: of Hydra's functions, only choice(a,b) takes text; put the value in quotes "
            "if it is meant as it is"
        )
    choice = _CHOICE.fullmatch(value) if multirun else None
    values = choice[1] if choice else value
    if lists:
        if not values or (multirun and _MIXED.search(values) and not is_list(values)):
            return head + quote(value)  # Hydra explains how to give a list
        parts = _split_lists(values, name) if multirun else [read_list(values, name)]
        written = [f"[{','.join(map(_write, part))}]" for part in parts]
    elif multirun and "," in values:
        none = Text("null", quoted=False)
        texts = read_list(f"[{values}]", name)
        written = ["null" if text == none else _write(text) for text in texts]
    else:
        written = [_write(Text.read(values))]
    return head + ",".join(written)  # not as a choice(), for which Hydra removes the quotes


def _is_misspelled(name: str) -> bool:
    """Check whether no choice of an option's group has the option."""
    group, point, option = name.partition(".")
    known = _groups().get(group, set()) if point else set()
    return bool(known) and option.partition(".")[0] not in known


def _check_mapping(word: str) -> None:
    """Raise `BenchError` if text within braces is a number to Hydra, as its spelling is lost."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException:  # explained where the config is composed
        return
    value = override.value()
    for mapping in value.list if isinstance(value, ChoiceSweep) else [value]:
        for name, item in _items(override.key_or_group, mapping):
            if isinstance(item, int | float) and name in text_options():
                raise BenchError(
                    f"{word}: within braces, {name} is read as {item}; give it by itself, as "
                    f"{name}=<value>"
                )


def _items(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield the name and the value of each option in nested mappings, and each item of lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _items(f"{name}.{key}", item)
    elif isinstance(value, list):
        for item in value:
            yield from _items(name, item)
    else:
        yield name, value


def _write(text: Text) -> str:
    return Text(escape(text.value), text.quoted).write()


def _split_lists(values: str, name: str) -> list[list[Text]]:
    """Split `[a,b],[c]` into its lists; `a,b` are two lists of one."""
    if not is_list(values):
        return [[text] for text in read_list(values, name)]
    parts, begin = [], 0
    for found in _NEXT_LIST.finditer(values):
        if found[0].startswith("]"):
            parts.append(values[begin : found.start() + 1])
            begin = found.end()
    return [read_list(part, name) for part in (*parts, values[begin:].rstrip())]


def _as_typed(word: str) -> str:
    match = _OVERRIDE.fullmatch(word)
    if match is None or match[2] not in text_options():
        return word
    return match[1] + QUOTED.sub(_bare, match[3])


def _bare(found: re.Match[str]) -> str:
    """Return a quoted value without OmegaConf's escapes, and without quotes that were not typed."""
    text = Text.read(found[0])
    value = re.sub(r"(\\+)\$\{", lambda run: "\\" * ((len(run[1]) - 1) // 2) + "${", text.value)
    return Text(value, text.quoted).write() if found[0].startswith("'") else value

"""Commands beside a run: `option=value` as in Hydra, without its files; light, for fast answers.

A command is a dataclass. Its fields are the options, its docstring's first line says what it
does, the `Parameters` section what each option means, and `--help` prints just that.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_origin, get_type_hints

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from outliers_bench.errors import BenchError
from outliers_bench.runtime.invocation import as_called

T = TypeVar("T")
USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
CUT_OFF = 141  # 128 + SIGPIPE
_OPTION = re.compile(r"[A-Za-z_]\w*=")


def main(
    options: type[T],
    work: Callable[[T], int | None],
    *,
    program: str,
    loose: str | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Read a command line, do the work, and tell mistakes on one line.

    Parameters
    ----------
    options : type
        A dataclass; what has the default `MISSING` must be given.
    work : callable
        Gets the options. Returns the exit code, or None for 0.
    program : str
        How the command is called, such as `python -m outliers_bench.search`.
    loose : str or None
        Name of a field, a list of str, that takes the words without `=`.
    arguments : sequence of str or None
        The command line; None takes the process' own.

    Returns
    -------
    int
        Exit code: that of the work, 2 for a mistake that the user can mend, 130 after Ctrl-C, 141
        where nobody reads the output any more.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if any(word in ("-h", "--help") for word in words):
            print(as_called(page(options, program=program, loose=loose)), flush=True)
            return 0
        return work(read(options, words, program=program, loose=loose)) or 0
    except BenchError as error:
        print(f"error: {as_called(str(error))}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough; the exit would flush once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CUT_OFF


def read(options: type[T], words: Sequence[str], *, program: str, loose: str | None = None) -> T:
    """The options that a command line gives; see `main`.

    Raises
    ------
    BenchError
        If an option is unknown, given twice, of the wrong type, or missing.
    """
    known = [entry.name for entry in fields(_checked(options))]
    values: dict[str, str] = {}
    others: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if loose is not None and not (_OPTION.match(word) and name in known):
            if word.startswith("-") or (_OPTION.match(word) and not _is_a_place(word)):
                raise BenchError(_unknown(word, known, program))
            others.append(word)
        elif not equals or name not in known:
            raise BenchError(_unknown(word, known, program))
        elif name in values:
            raise BenchError(f"{name} is given twice: {name}={values[name]} and {word}")
        else:
            values[name] = value
    config = OmegaConf.structured(options)
    kinds = get_type_hints(options)
    for name, value in values.items():
        try:
            OmegaConf.update(config, name, _value(kinds[name], value))
        except OmegaConfBaseException as error:
            said = str(error).splitlines()[0]
            raise BenchError(f"{name}={value}: {said}") from None
    if loose is not None and others:
        config[loose] = [*config[loose], *others]
    for name in known:
        if OmegaConf.is_missing(config, name):
            raise BenchError(f"{name} is missing: give it as {name}=<value>; see {program} --help")
    return OmegaConf.to_object(config)  # type: ignore[return-value]


def page(options: type[Any], *, program: str, loose: str | None = None) -> str:
    """The help page of a command: what its docstring says, and the defaults."""
    about, told = _told(_checked(options))
    entries = fields(options)
    required = [entry for entry in entries if entry.default == MISSING]
    call = [program, *(f"{entry.name}=..." for entry in required if entry.name != loose)]
    lines = [f"usage: {' '.join(call)}{f' {loose.upper()}...' if loose else ''} [option=value ...]"]
    lines += ["", about, "", "options:"]
    config = OmegaConf.structured(options)
    for entry in entries:
        missing = OmegaConf.is_missing(config, entry.name)
        default = "" if missing else _shown(config[entry.name])
        head = f"  {entry.name}" + ("" if missing else f"={default}")
        text = textwrap.fill(
            told.get(entry.name, ""), 98, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
        lines += [head, text]
    return "\n".join(lines)


def _checked(options: type[Any]) -> Any:  # noqa: ANN401 - a dataclass' type
    if not is_dataclass(options):
        raise TypeError(f"{options.__name__} is no dataclass")
    return options


def _value(kind: object, text: str) -> object:
    """Text as OmegaConf is to see it: a field of text takes it as it is, others as YAML."""
    import yaml

    if text == "null":
        return None
    if kind in (str, str | None):  # 0012 and 1e5 may be names
        return text
    if get_origin(kind) is list and not text.startswith("["):  # a=b,c as well as a=[b,c]
        return text.split(",") if text else []
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _unknown(word: str, known: Sequence[str], program: str) -> str:
    from difflib import get_close_matches

    name = word.partition("=")[0].lstrip("-")
    if word.startswith("--") and name in known:
        return f"{word}: options are given without dashes, as {name}=<value>"
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}=<value>?" if close else ""
    return f"{word}: no such option{hint} (there is: {', '.join(known)}; see {program} --help)"


def _is_a_place(word: str) -> bool:
    """Whether a word with `=` in it may be a file or an address all the same."""
    from pathlib import Path

    return "/" in word.partition("=")[0] or Path(word).exists()


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    name = getattr(value, "name", None)  # of an enum
    return str(value) if name is None else str(name)


def _told(options: type[Any]) -> tuple[str, dict[str, str]]:
    """What a numpydoc docstring says of the whole, and of each parameter, in one line each."""
    text = inspect.cleandoc(options.__doc__ or "")
    about, _, rest = text.partition("\nParameters\n")
    body = rest.partition("\n\n")[0] if "\n\n" in rest else rest
    told: dict[str, list[str]] = {}
    name = ""
    for line in body.splitlines()[1:]:
        if line and not line.startswith(" "):
            name = line.partition(" :")[0].strip()
            told[name] = []
        elif line.strip() and name:
            told[name].append(line.strip())
    return about.strip(), {key: " ".join(lines) for key, lines in told.items()}

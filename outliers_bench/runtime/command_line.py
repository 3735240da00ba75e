"""Command lines of the commands other than a run: `option=value` as in Hydra, without its files.

A command is a dataclass. Its fields are the options, its docstring describes the command, and the
`Parameters` section each option; `--help` prints both. Imports little, so that commands start fast.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar, get_origin, get_type_hints

from omegaconf import MISSING, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from outliers_bench.errors import BenchError
from outliers_bench.runtime import signals
from outliers_bench.runtime.background import exit_while_decoding
from outliers_bench.runtime.invocation import with_current_python
from outliers_bench.runtime.output import guarded_output
from outliers_bench.runtime.text_values import Text, escape, is_text, is_text_list, read_list

T = TypeVar("T")
USER_ERROR = 2
_OPTION = re.compile(r"[A-Za-z_]\w*=")


def main(
    options: type[T],
    work: Callable[[T], int | None],
    *,
    program: str,
    positional: str | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse a command line and run the command; report user errors on one line.

    Parameters
    ----------
    options : type
        A dataclass. Fields whose default is `MISSING` are required.
    work : callable
        Takes the options and returns the exit code, or None for 0.
    program : str
        Command as it is typed, such as `python -m outliers_bench.search`.
    positional : str or None
        Name of the field, a list of str, that collects the arguments without `=`.
    arguments : sequence of str or None
        Command line; None for that of the process.

    Returns
    -------
    int
        Exit code: that of the work, 2 for an error that the user can fix, 130 after Ctrl-C, 143
        after SIGTERM. If the output cannot be written, it exits; see `guarded_output`.
    """
    signals.end_like_interrupt()
    with guarded_output():
        return _main(options, work, program, positional, arguments)


def _main(
    options: type[T],
    work: Callable[[T], int | None],
    program: str,
    positional: str | None,
    arguments: Sequence[str] | None,
) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if any(word in ("-h", "--help") for word in words):
            print(
                with_current_python(help_page(options, program=program, positional=positional)),
                flush=True,
            )
            return 0
        return work(parse(options, words, program=program, positional=positional)) or 0
    except BenchError as error:
        print(f"error: {with_current_python(str(error))}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print(f"{signals.cause()}; the same command continues from there", file=sys.stderr)
        exit_while_decoding(signals.exit_code())
        return signals.exit_code()


def parse(
    options: type[T], words: Sequence[str], *, program: str, positional: str | None = None
) -> T:
    """Parse the options of a command line; `BenchError` for a wrong one; see `main`."""
    known = [entry.name for entry in fields(options)]  # type: ignore[arg-type]
    values: dict[str, str] = {}
    positionals: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if positional is not None and not (_OPTION.match(word) and name in known):
            if word.startswith("-") or (_OPTION.match(word) and not _is_path_or_url(word)):
                raise BenchError(_unknown_option(word, known, program))
            positionals.append(word)
        elif not equals or name not in known:
            raise BenchError(_unknown_option(word, known, program))
        elif name in values:
            raise BenchError(f"{name} is given twice: {name}={values[name]} and {word}")
        else:
            values[name] = value
    config = OmegaConf.structured(options)
    types = get_type_hints(options)
    for name, value in values.items():
        try:
            OmegaConf.update(config, name, _parse_value(types[name], name, value))
        except OmegaConfBaseException as error:
            message = needs_value(str(error).splitlines()[0])
            raise BenchError(f"{name}={value}: {message}") from None
    if positional is not None and positionals:
        config[positional].extend([escape(word) for word in positionals])
    for name in known:
        if OmegaConf.is_missing(config, name):
            raise BenchError(f"{name} is missing: give it as {name}=<value>; see {program} --help")
    return OmegaConf.to_object(config)  # type: ignore[return-value]


def help_page(options: type[Any], *, program: str, positional: str | None = None) -> str:
    """Format the help page of a command: its docstring and the defaults."""
    description, help_of = _parse_docstring(options)
    entries = fields(options)
    required = [entry for entry in entries if entry.default == MISSING]
    call = [program, *(f"{entry.name}=..." for entry in required if entry.name != positional)]
    if positional:
        call.append(f"{positional.upper()}...")
    lines = [f"usage: {' '.join(call)} [option=value ...]"]
    lines += ["", description, "", "options:"]
    config = OmegaConf.structured(options)
    for entry in entries:
        missing = OmegaConf.is_missing(config, entry.name)
        default = "" if missing else _format_value(config[entry.name])
        head = f"  {entry.name}" + ("" if missing else f"={default}")
        text = textwrap.fill(
            help_of.get(entry.name, ""), 98, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
        lines += [head, text]
    return "\n".join(lines)


def _parse_value(type_hint: object, name: str, text: str) -> object:
    """Parse a value as YAML, except for fields of text, which take what was typed."""
    import yaml

    if text == "null":
        return None
    if is_text(type_hint):
        return escape(Text.read(text).value)
    if is_text_list(type_hint):  # a=b,c as well as a=[b,c]
        return [escape(item.value) for item in read_list(text, name)]
    if get_origin(type_hint) is list and not text.startswith("["):
        return text.split(",") if text else []
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def needs_value(message: str) -> str:
    """Return OmegaConf's message that an option is not optional, in words."""
    return re.sub(
        r"field '[\w.]+' is not Optional",
        "null is no value here; the text is 'null', in quotes",
        message,
    )


def instead(name: str, options: Sequence[str]) -> str:
    """Return a hint for a wrong name: the closest of the options, and all of them."""
    from difflib import get_close_matches

    close = get_close_matches(name, options, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{hint} (available: {', '.join(options)})" if options else hint


def _unknown_option(word: str, known: Sequence[str], program: str) -> str:
    given = word.partition("=")[0]  # without the value, which may be a secret
    name = given.lstrip("-")
    if word.startswith("--") and name in known:
        return f"{given}: options are given without dashes, as {name}=<value>"
    if f"{name}_file" in known:
        return (
            f"{given}: no such option, because everybody on this machine can read command lines; "
            f"write the {name} to a file and give {name}_file=<file>; see {program} --help"
        )
    return f"{given}: no such option{instead(name, known)}; see {program} --help"


def _is_path_or_url(word: str) -> bool:
    """Check whether an argument that contains `=` is a path or a URL rather than an option."""
    from pathlib import Path

    return "/" in word.partition("=")[0] or Path(word).exists()


def _format_value(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, ListConfig):
        return ",".join(str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    name = getattr(value, "name", None)  # enum
    return str(value) if name is None else str(name)


def _parse_docstring(options: type[Any]) -> tuple[str, dict[str, str]]:
    """Split a numpydoc docstring into its description and one line of help per parameter."""
    text = inspect.cleandoc(options.__doc__ or "")
    description, _, rest = text.partition("\nParameters\n")
    body = rest.partition("\n\n")[0] if "\n\n" in rest else rest
    help_lines: dict[str, list[str]] = {}
    name = ""
    for line in body.splitlines()[1:]:
        if line and not line.startswith(" "):
            name = line.partition(" :")[0].strip()
            help_lines[name] = []
        elif line.strip() and name:
            help_lines[name].append(line.strip())
    return description.strip(), {key: " ".join(lines) for key, lines in help_lines.items()}

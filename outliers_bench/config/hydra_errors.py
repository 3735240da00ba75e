"""Errors of Hydra and OmegaConf in one line that lists the choices."""

from __future__ import annotations

import re
import sys
from typing import NoReturn

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import Container, DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from outliers_bench.config.renamed import new_option, refusal
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import USER_ERROR, instead, needs_value
from outliers_bench.runtime.invocation import install_command, with_current_python
from outliers_bench.runtime.visible_text import visible

# Details of OmegaConf's nodes mean nothing to the user.
INNER_DETAILS = ("full_key:", "reference_type=", "object_type=", "Set the environment variable")
OF_EXTRA = (("hydra/sweeper", "optuna"), ("hydra/launcher", "joblib"))
MERGING = "Error merging override "
_SEVERAL = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) (.+?)(?: requires .*)?$")
_TO_ADD = re.compile(r"To append to your default list use \+(experiments[^ ]*)$")


def explain(error: HydraException | OmegaConfBaseException) -> str:
    """Return one line for an error of the composition: what is wrong, where, and what to give."""
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        if (group, option) in OF_EXTRA:
            return f"{group}={option} is not installed: {install_command('sweep')}"
        return f"{group}={option}: no such option{instead(option, error.options)}"
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        key = str(cause.full_key or cause.key)
        siblings = _siblings(cause)
        given = re.search(r"Could not override '([^']+)'", str(error))
        renamed = refusal(given[1] if given else key)
        if renamed and (new_option(key) or "").rpartition(".")[2] in siblings:
            return renamed
        return f"{key}: no such option{instead(key.rpartition('.')[2], siblings)}"
    if isinstance(error, OverrideParseException):
        is_named = re.match(r"[+~]{0,2}[\w./@]+=", error.override, re.ASCII)
        form = "not of the form key=value; in the shell, put a value with spaces in quotes"
        wrong = "neither a number, nor a word, nor a list as in k=[1,5]" if is_named else form
        return f"{error.override}: {wrong}"
    message = _override_message(str(error)) or _in_one_line(error) or _in_one_line(cause)
    if message.startswith(MERGING) and cause is not None:
        message = f"{message.removeprefix(MERGING)}: {_in_one_line(cause)}"
    message = needs_value(message)
    return re.sub(
        r"\w+ is not a ListConfig, list or tuple|Cannot merge DictConfig with ListConfig",
        "give a list, as in k=[1,5]",
        message,
    )


def exit_with_error(
    error: BenchError | HydraException | OmegaConfBaseException, code: int = USER_ERROR
) -> NoReturn:
    """Print an error on one line of standard error and exit."""
    message = str(error) if isinstance(error, BenchError) else explain(error)
    print(f"error: {visible(with_current_python(message))}", file=sys.stderr)
    sys.exit(code)


def _in_one_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(INNER_DETAILS))


def _override_message(text: str) -> str:
    """Return what is wrong with the syntax of an override; empty for other errors."""
    deleted = re.match(r"Could not delete from config\. '([^']+)'", text)
    if deleted and (renamed := refusal(deleted[1])):
        return renamed
    lines = text.strip().splitlines() or [""]
    if found := _SEVERAL.match(lines[0]):
        override = found[1].replace("'", "")
        key, _, value = override.partition("=")
        # Groups take no list, nor do patterns make one.
        numbers = re.fullmatch(r"[\d, ]+", value)
        or_list = f", or write {key}=[{value}] for a list" if numbers else ""
        return f"{override}: several values; add -m to run every one of them{or_list}"
    if found := _TO_ADD.search(lines[-1]):
        return f"{found[1]}: write it as +{found[1]}"
    return ""


def _siblings(cause: OmegaConfBaseException) -> list[str]:
    node = cause.parent_node
    if not isinstance(node, Container) or not isinstance(node, DictConfig):
        return []
    return [str(key) for key in node if key != "hydra"]

"""Packages of the extra `formats`, imported where a file needs one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from outliers_bench.errors import UnsupportedImageError
from outliers_bench.runtime.invocation import install_command


def from_extra(package: str, reason: str) -> Any:  # noqa: ANN401 - a module
    """Import a package that the extra `formats` installs.

    Raises
    ------
    UnsupportedImageError
        If it is not installed; the message is `reason` and the command that installs it.
    """
    try:
        return import_module(package)
    except ImportError:
        raise UnsupportedImageError(f"{reason}, which needs {install_command('formats')}") from None

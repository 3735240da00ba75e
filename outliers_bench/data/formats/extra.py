"""Packages of the extra `formats`, imported where a file needs one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from outliers_bench.errors import InaccessibleImageError, UnsupportedImageError
from outliers_bench.runtime.invocation import install_command


class NotInstalledError(UnsupportedImageError, InaccessibleImageError):
    """Image that needs a package that is not installed; not cached, since it may be later."""


def from_extra(package: str, reason: str) -> Any:  # noqa: ANN401 - a module
    """Import a package that the extra `formats` installs.

    Raises
    ------
    NotInstalledError
        If it is not installed; the message is `reason` and the command that installs it.
    """
    try:
        return import_module(package)
    except ImportError:
        raise NotInstalledError(f"{reason}, which needs {install_command('formats')}") from None

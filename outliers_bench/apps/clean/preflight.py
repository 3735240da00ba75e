"""Checks before the first photo is moved: folders and free space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from outliers_bench.data.image_files import describe_os_error
from outliers_bench.errors import BenchError


def check_writable(folders: Iterable[Path]) -> None:
    """Check that files can be added to folders and removed from them.

    Raises
    ------
    BenchError
        If a folder is not writable.
    """
    for folder in sorted(folders):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise BenchError(f"{folder} is not writable; nothing was moved")


def create_folder(quarantine: Path) -> None:
    """Create the folder that photos are moved to.

    Raises
    ------
    BenchError
        If it cannot be created or is not writable.
    """
    try:
        quarantine.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(
            f"quarantine={quarantine} cannot be created ({describe_os_error(error)}); nothing was "
            "moved; choose another folder"
        ) from None
    check_writable({quarantine})


def check_free_space(root: Path, quarantine: Path, names: Sequence[str]) -> None:
    """Check that a quarantine on another file system has enough free space.

    Parameters
    ----------
    root, quarantine : Path
        Source and target folder.
    names : sequence of str
        Paths of the photos, relative to the root.

    Raises
    ------
    BenchError
        If there is not enough space.
    """
    if root.stat().st_dev == quarantine.stat().st_dev:
        return
    required = 0
    for name in names:
        with suppress(OSError):  # deleted meanwhile: the move reports it
            required += (root / name).stat().st_size
    free = shutil.disk_usage(quarantine).free
    if required > free:
        raise BenchError(
            f"quarantine={quarantine}: {required:,} bytes are required and {free:,} are free; "
            "nothing was moved"
        )

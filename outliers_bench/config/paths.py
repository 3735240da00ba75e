"""Folders of conf/ and experiments/, in a wheel or in a checkout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def resource_dir(folder: str) -> Path:
    """Return the folder `conf` or `experiments`: in the package of a wheel, or in the checkout."""
    inside = PACKAGE / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


def config_groups(root: Path, prefix: str = "") -> Iterator[tuple[str, list[Path]]]:
    """Yield the config groups below a folder, each with its files, in order.

    Their names begin with the prefix; without one, files directly in `root` are no group.
    """
    for folder in sorted([root, *(path for path in root.rglob("*") if path.is_dir())]):
        inside = folder.relative_to(root).as_posix()
        group = "/".join(part for part in (prefix, inside) if part not in ("", "."))
        files = sorted(folder.glob("*.yaml"))
        if group and files:
            yield group, files

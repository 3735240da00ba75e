"""The text of `python -m outliers_bench --help`: all choices, from the files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

USAGE = """\
Which method finds the same animal, and what does it cost?

  python -m outliers_bench                                            the offline default
  python -m outliers_bench model=vgg16 pca.n=500 data=folder data.root=photos
  python -m outliers_bench -m model=vgg16,resnet50 pca.n=100,500      a sweep: every combination
  python -m outliers_bench.leaderboard                                compare the runs

== Choices: group=option =="""

OPTIONS = """
== Options with their defaults: a.b=value, null for none ==
$CONFIG
$FLAGS_HELP"""


def config_groups(root: Path, prefix: str = "") -> Iterator[tuple[str, list[Path]]]:
    """The config groups below a folder, each with its files, in order.

    Parameters
    ----------
    root : Path
        Folder of a config tree.
    prefix : str
        What the groups' names begin with; "" leaves out files that lie directly in `root`.
    """
    for folder in sorted([root, *(path for path in root.rglob("*") if path.is_dir())]):
        inside = folder.relative_to(root).as_posix()
        group = "/".join(part for part in (prefix, inside) if part not in ("", "."))
        files = sorted(folder.glob("*.yaml"))
        if group and files:
            yield group, files


def template(conf: Path, experiments: Path) -> str:
    """Hydra's help template, with a listing of our own.

    Hydra's would show the groups of the schema as well, from which nobody chooses.
    """
    groups = [
        *config_groups(conf),
        *((f"+{group}", files) for group, files in config_groups(experiments, "experiments")),
    ]
    listing = [_listed(f"{group}=", [file.stem for file in files]) for group, files in groups]
    return "\n".join([USAGE, *listing, OPTIONS])


def _listed(head: str, names: list[str]) -> str:
    return textwrap.fill(
        ", ".join(names),
        width=100,
        initial_indent=f"{head:<10} ",
        subsequent_indent=" " * 11,
        break_on_hyphens=False,
    )

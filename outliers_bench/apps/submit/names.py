"""What a competition calls its files; the names that are sent, and the names it knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum

from outliers_bench.errors import BenchError


class Names(Enum):
    """Which name of a file is meant.

    `base` is what stands after the last slash, `path` the path below `query/` or `gallery/`, and
    `auto` the first where no two files of a part share it, else the second.
    """

    auto = "auto"
    base = "base"
    path = "path"


def given_names(names: Sequence[str], part: str, style: Names) -> tuple[list[str], Names]:
    """The names by which a competition gave the files of one part.

    Parameters
    ----------
    names : sequence of str
        The names of an `ImageSet`, each once.
    part : str
        `query` or `gallery`: the folder that is no part of a name, where all lie in it.
    style : Names
        Which name is meant.

    Returns
    -------
    names : list of str
        In the same order, each once.
    style : Names
        What was taken: `base` or `path`.

    Raises
    ------
    BenchError
        If base names are asked for and two files share one.

    Examples
    --------
    >>> given_names(["query/1.jpg", "query/2.jpg"], "query", Names.auto)
    (['1.jpg', '2.jpg'], <Names.base: 'base'>)
    >>> given_names(["query/a/1.jpg", "query/b/1.jpg"], "query", Names.auto)
    (['a/1.jpg', 'b/1.jpg'], <Names.path: 'path'>)
    """
    folder = f"{part}/"
    inside = all(name.startswith(folder) for name in names)
    paths = [name.removeprefix(folder) for name in names] if inside else list(names)
    bases = [path.rpartition("/")[2] for path in paths]
    if style is Names.path:
        return paths, Names.path
    shared, times = Counter(bases).most_common(1)[0] if bases else ("", 0)
    if times <= 1:
        return bases, Names.base
    if style is Names.base:
        raise BenchError(
            f"{times} files in {part} are called {shared}; rename them, or use names=path to tell "
            "them apart by their folders"
        )
    return paths, Names.path

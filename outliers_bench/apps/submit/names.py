"""Names of a competition's files, as used in submissions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum

from outliers_bench.errors import BenchError


class Names(Enum):
    """Style of file names.

    `base` is the part after the last slash, `path` the path below `query/` or `gallery/`, and
    `auto` is `base` if the base names of a part are unique, else `path`.
    """

    auto = "auto"
    base = "base"
    path = "path"


def competition_names(names: Sequence[str], part: str, style: Names) -> tuple[list[str], Names]:
    """Return the names that a competition uses for the files of one part.

    Parameters
    ----------
    names : sequence of str
        Unique names of an `ImageSet`.
    part : str
        `query` or `gallery`; a folder of this name is removed from the paths if all files are in
        it.
    style : Names

    Returns
    -------
    names : list of str
        Unique names, in the same order.
    style : Names
        The style that was used: `base` or `path`.

    Raises
    ------
    BenchError
        If base names are requested and two files share one.

    Examples
    --------
    >>> competition_names(["query/1.jpg", "query/2.jpg"], "query", Names.auto)
    (['1.jpg', '2.jpg'], <Names.base: 'base'>)
    >>> competition_names(["query/a/1.jpg", "query/b/1.jpg"], "query", Names.auto)
    (['a/1.jpg', 'b/1.jpg'], <Names.path: 'path'>)
    """
    folder = f"{part}/"
    all_in_folder = all(name.startswith(folder) for name in names)
    paths = [name.removeprefix(folder) for name in names] if all_in_folder else list(names)
    base_names = [path.rpartition("/")[2] for path in paths]
    if style is Names.path:
        return paths, Names.path
    most_common, count = Counter(base_names).most_common(1)[0] if base_names else ("", 0)
    if count <= 1:
        return base_names, Names.base
    if style is Names.base:
        raise BenchError(
            f"{count} files in {part} are named {most_common}; rename them, or use names=path to "
            "distinguish them by their folders"
        )
    return paths, Names.path

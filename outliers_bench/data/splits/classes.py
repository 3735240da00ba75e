"""Choice of whole classes: those of train, or those that are only among the queries."""

from __future__ import annotations

import numpy as np

from outliers_bench.data.components import connect, rows_by_value
from outliers_bench.data.splits.units import count_for_share, sort_units
from outliers_bench.errors import BenchError
from outliers_bench.types import BoolArray, ImageSet


def draw_classes(
    images: ImageSet, share: float, *, seed: int, of_images: bool, option: str, name: str
) -> BoolArray:
    """Draw classes, seeded and by content; classes that share a group are drawn together.

    Parameters
    ----------
    images : ImageSet
        Labeled images.
    share : float
        Share of the classes, or of the images if `of_images`, that is drawn, in (0, 1); the nearest
        possible one, of at least one class, and not of all.
    seed : int
        Decides which classes are drawn.
    of_images : bool
    option, name : str
        The option that needs classes, and the data set, for the message.

    Returns
    -------
    array of bool, shape (n,)
        True for the images of the classes that were drawn.

    Raises
    ------
    BenchError
        If groups connect all classes.
    """
    assert images.labels is not None  # noqa: S101 - checked by `make_split`
    labels = images.labels
    columns = [labels.tolist(), *([images.groups] if images.groups is not None else [])]
    units = sort_units(rows_by_value(connect(*columns).tolist()), images, seed)
    if len(units) < 2:
        raise BenchError(
            f"{name}: {option} separates classes, and the groups connect all "
            f"{len(np.unique(labels)):,} classes; use groups within classes, or none"
        )
    sizes = [len(unit) if of_images else len(np.unique(labels[unit])) for unit in units]
    count = count_for_share(sizes, share, least=1, most=len(units) - 1)
    drawn = np.zeros(len(images), np.bool_)
    for unit in units[:count]:
        drawn[unit] = True
    return drawn

"""Splits of tables whose parts are not train, query and gallery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.data.split import check_classes, leave_one_out_rule
from outliers_bench.data.table import Table
from outliers_bench.data.tables.parts import BOTH, TEST
from outliers_bench.types import GROUP, ImageSet, LeftOut, Split, same


def one_set(table: Table, *, name: str) -> Split:
    """Return the split in which every image of `BOTH` is a query against all others of them.

    Images of the query's group are excluded from its ranking, as open-metric-learning does with a
    sequence.
    """
    (images, train), duplicates = deduplicate([table.images(BOTH), table.images("train")])
    if images.labels is not None:
        check_classes(images, name=name)
    left_out = (*table.left_out, *duplicates)
    excluded = leave_one_out_rule(images) if images.groups is None else same(GROUP)
    return Split(name, train, images, images, excluded, left_out)


def split_test(table: Table, split: Callable[[ImageSet, Sequence[LeftOut]], Split]) -> Split:
    """Return the split of the images of `TEST` into query and gallery, next to train.

    `split` splits the test images without a train part, and takes the excluded images.
    """
    (test, train), duplicates = deduplicate([table.images(TEST), table.images("train")])
    return replace(split(test, (*table.left_out, *duplicates)), train=train)

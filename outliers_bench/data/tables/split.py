"""Splits of tables whose parts are not train, query and gallery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.data.split import check_classes, leave_one_out_rule
from outliers_bench.data.table import AddGroups, Table
from outliers_bench.data.tables.parts import BOTH, TEST
from outliers_bench.types import ImageSet, LeftOut, Split


def one_set(table: Table, add_groups: AddGroups, *, name: str) -> Split:
    """Return the split in which every image of `BOTH` is a query against all others of them.

    `add_groups` adds columns to the parts. Images of the query's group are excluded from its
    ranking, as open-metric-learning does with a sequence.
    """
    parts = add_groups([table.images(BOTH), table.images("train")])
    (images, train), duplicates = deduplicate(parts)
    if images.labels is not None:
        check_classes(images, name=name)
    left_out = (*table.left_out, *duplicates)
    return Split(name, train, images, images, leave_one_out_rule(images), left_out)


def split_test(
    table: Table,
    add_groups: AddGroups,
    split: Callable[[ImageSet, Sequence[LeftOut]], Split],
) -> Split:
    """Return the split of the images of `TEST` into query and gallery, next to train.

    `add_groups` adds columns to the parts. `split` splits the test images without a train part, and
    takes the excluded images.
    """
    parts = add_groups([table.images(TEST), table.images("train")])
    (test, train), duplicates = deduplicate(parts)
    return replace(split(test, (*table.left_out, *duplicates)), train=train)

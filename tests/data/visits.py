"""Photos of visits, and the groups that a split has put into its parts, for tests."""

from collections import defaultdict

import pandas as pd

from outliers_bench.types import GROUP

PARTS = ("train", "query", "gallery")


def parts_of(split, column=GROUP):
    """The parts that each value of a column is in."""
    found = defaultdict(set)
    for part in PARTS:
        images = getattr(split, part)
        for value in images.columns[column].tolist() if len(images) else []:
            found[value].add(part)
    return found


def groups_of(split):
    return {
        name: group
        for part in PARTS
        for name, group in zip(getattr(split, part).names, getattr(split, part).groups, strict=True)
    }


def table_of(folder, **columns):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    frame = pd.DataFrame({"path": names, "label": [name.partition("/")[0] for name in names]})
    frame.assign(**columns).to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"

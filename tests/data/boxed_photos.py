"""Photos with two boxes each, in a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from PIL import Image

from outliers_bench.data.manifest import Manifest

SIZE = (60, 40)  # width and height, upright


def photo(seed, size=SIZE):
    """Return a photo without equal pixels next to each other."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def write_boxed(folder):
    """Write six photos of two animals each, and return their table."""
    rows = []
    for number in range(6):
        photo(number).save(folder / f"{number}.png")
        for x, label in ((2, "leo"), (30, "lea")):
            rows.append((f"{number}.png", label, x, 5, 20, 30))
    return pd.DataFrame(rows, columns=["path", "label", "x", "y", "w", "h"])


def manifest(table, folder, **options):
    table.to_csv(folder / "table.csv", index=False)
    return Manifest(path=str(folder / "table.csv"), **options)

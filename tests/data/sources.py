"""Loading of data sources in tests."""

import pytest

from outliers_bench.data.manifest import Manifest
from outliers_bench.errors import BenchError


def load(source, tmp_path, seed=0):
    return source.load(seed=seed, cache=tmp_path / "cache")


def fails(source, tmp_path, match):
    with pytest.raises(BenchError, match=match) as error:
        load(source, tmp_path)
    assert "\n" not in str(error.value)


def manifest(table, photos, suffix=".csv", **options):
    file = photos / f"table{suffix}"
    if suffix == ".parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False, sep="\t" if suffix == ".tsv" else ",")
    return Manifest(path=str(file), **options)

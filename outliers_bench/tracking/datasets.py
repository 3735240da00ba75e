"""Parts of a split as MLflow datasets, for the Datasets column of the UI."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from outliers_bench.data.image_files import absolute_path
from outliers_bench.types import ImageSet, Split

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_DIGEST_LENGTH = 8  # as MLflow's own


def split_datasets(
    split: Split, data: Mapping[str, Any], *, address: str | None = None
) -> list[dict[str, str]]:
    """Return train, query and gallery as arguments of MLflow datasets, without empty parts.

    Parameters
    ----------
    split : Split
        The data set; its fingerprint is the digest of the datasets.
    data : mapping
        The `data` group of the config; its `root` or `path` is the source.
    address : str or None
        URL of the data set, used as the source if given.
    """
    path = data.get("root") or data.get("path")
    source = {"uri": str(absolute_path(path)) if path else split.name}
    kind = "local"
    if address is not None:
        kind, source = "http", {"url": address}
    parts = {"train": split.train, "query": split.query, "gallery": split.gallery}
    if split.is_one_set:
        del parts["gallery"]  # the same images as the queries
    return [
        {
            "name": f"{split.name}-{role}",
            "digest": split.fingerprint[:_DIGEST_LENGTH],
            "role": role,
            "source_type": kind,
            "source": json.dumps(source),
            "profile": json.dumps(_profile(part)),
        }
        for role, part in parts.items()
        if len(part)
    ]


def dataset_inputs(parts: Iterable[Mapping[str, str]]) -> list[DatasetInput]:
    """Convert datasets from `split_datasets` to inputs of an MLflow run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for part in parts:
        values = dict(part)
        tag = InputTag("mlflow.data.context", values.pop("role"))
        inputs.append(DatasetInput(Dataset(**values), [tag]))
    return inputs


def _profile(part: ImageSet) -> dict[str, int]:
    counts = {"num_rows": len(part)}
    if part.labels is not None:
        counts["num_classes"] = len(set(part.labels.tolist()))
    return counts

"""The parts of a split as MLflow datasets, for the UI's Datasets column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.types import ImageSet, Split

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_DIGEST_LENGTH = 8  # as MLflow's own


def dataset_inputs(split: Split, data: Mapping[str, Any]) -> list[DatasetInput]:
    """Train, query and gallery as inputs of a run; empty parts are left out.

    Parameters
    ----------
    split : Split
        The data; its fingerprint is the datasets' digest.
    data : mapping
        The config's `data` group; its `root` or `path` is the source.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    place = data.get("root") or data.get("path")
    source = {"uri": str(Path(place).expanduser().absolute()) if place else split.name}
    parts = {"train": split.train, "query": split.query, "gallery": split.gallery}
    if split.leave_one_out:
        del parts["gallery"]  # the queries themselves
    return [
        DatasetInput(
            Dataset(
                name=f"{split.name}-{name}",
                digest=split.fingerprint[:_DIGEST_LENGTH],
                source_type="local",
                source=json.dumps(source),
                profile=json.dumps(_profile(part)),
            ),
            [InputTag("mlflow.data.context", name)],
        )
        for name, part in parts.items()
        if len(part)
    ]


def _profile(part: ImageSet) -> dict[str, int]:
    counts = {"num_rows": len(part)}
    if part.labels is not None:
        counts["num_classes"] = len(set(part.labels.tolist()))
    return counts

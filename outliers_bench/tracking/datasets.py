"""Parts of a split as MLflow datasets, for the Datasets column of the UI."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.types import ImageSet, Split

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_DIGEST_LENGTH = 8  # as MLflow's own


@dataclass(frozen=True)
class Dataset:
    """Part of a split: its name in MLflow, digest, role, and JSON of source and counts.

    The source type, `local` or `http`, is MLflow's and determines the content of the JSON.
    """

    name: str
    digest: str
    role: str
    source_type: str
    source: str
    profile: str


def split_datasets(
    split: Split, data: Mapping[str, Any], *, address: str | None = None
) -> tuple[Dataset, ...]:
    """Return train, query and gallery as datasets, without empty parts.

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
    source = {"uri": str(Path(path).expanduser().absolute()) if path else split.name}
    kind = "local"
    if address is not None:
        kind, source = "http", {"url": address}
    parts = {"train": split.train, "query": split.query, "gallery": split.gallery}
    if split.is_one_set:
        del parts["gallery"]  # the same images as the queries
    return tuple(
        Dataset(
            name=f"{split.name}-{role}",
            digest=split.fingerprint[:_DIGEST_LENGTH],
            role=role,
            source_type=kind,
            source=json.dumps(source),
            profile=json.dumps(_profile(part)),
        )
        for role, part in parts.items()
        if len(part)
    )


def dataset_inputs(parts: Iterable[Mapping[str, str]]) -> list[DatasetInput]:
    """Convert datasets, as mappings, to inputs of an MLflow run."""
    from mlflow import entities

    return [
        entities.DatasetInput(
            entities.Dataset(
                name=dataset.name,
                digest=dataset.digest,
                source_type=dataset.source_type,
                source=dataset.source,
                profile=dataset.profile,
            ),
            [entities.InputTag("mlflow.data.context", dataset.role)],
        )
        for dataset in (Dataset(**part) for part in parts)
    ]


def _profile(part: ImageSet) -> dict[str, int]:
    counts = {"num_rows": len(part)}
    if part.labels is not None:
        counts["num_classes"] = len(set(part.labels.tolist()))
    return counts

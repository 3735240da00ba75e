"""The parts of a split as MLflow datasets, for the UI's Datasets column."""

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
    """A part of a split: its name in MLflow, digest, role, and JSON of source and counts.

    The source's type, `local` or `http`, is MLflow's, and decides what its JSON must hold.
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
    """Train, query and gallery as datasets; empty parts are left out.

    Parameters
    ----------
    split : Split
        The data; its fingerprint is the datasets' digest.
    data : mapping
        The config's `data` group; its `root` or `path` is the source.
    address : str or None
        Where on the web they come from; the source, where it is given.
    """
    place = data.get("root") or data.get("path")
    source = {"uri": str(Path(place).expanduser().absolute()) if place else split.name}
    kind = "local"
    if address is not None:
        kind, source = "http", {"url": address}
    parts = {"train": split.train, "query": split.query, "gallery": split.gallery}
    if split.leave_one_out:
        del parts["gallery"]  # the queries themselves
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


def dataset_inputs(found: Iterable[Dataset]) -> list[DatasetInput]:
    """Datasets as MLflow's inputs of a run."""
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
        for dataset in found
    ]


def _profile(part: ImageSet) -> dict[str, int]:
    counts = {"num_rows": len(part)}
    if part.labels is not None:
        counts["num_classes"] = len(set(part.labels.tolist()))
    return counts

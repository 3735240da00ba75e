"""Data of a Python call: what people have, as data sources and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

import numpy as np
import numpy.typing as npt

from outliers_bench.data.image_files import absolute_path
from outliers_bench.data.in_memory import ImageArrays, InMemory, Vectors, labels_frame
from outliers_bench.data.parts import contains_ready_split
from outliers_bench.data.source import LabeledSource
from outliers_bench.data.tables.files import TABLES
from outliers_bench.errors import BenchError
from outliers_bench.models.precomputed import Precomputed
from outliers_bench.models.vector_file import VectorTable, table_of_frame, to_matrix

if TYPE_CHECKING:
    import pandas as pd

    from outliers_bench.config.schema import Config

Array: TypeAlias = npt.NDArray[Any]
Data: TypeAlias = Union[str, Path, "pd.DataFrame", Array, Sequence[Array]]
Labels: TypeAlias = Union["pd.DataFrame", Iterable[object], None]
ModelLike: TypeAlias = Union[str, "pd.DataFrame", Array, None]

_NO_DATA_SETS = ("folder", "prepared", "manifest")
_PLACEHOLDER = "memory"


class Inputs:
    """Options of `data` and `model` arguments, and what replaces them in the config.

    The arguments are those of `api.run`; `data` is None for a call without. Raises `BenchError` if
    `data` is nothing of these.
    """

    def __init__(self, data: Data | None, labels: Labels = None, model: ModelLike = None) -> None:
        self._frame: pd.DataFrame | None = None
        self._contents: ImageArrays | Vectors | None = None
        self._table: VectorTable | None = None
        self.options: dict[str, object] = {}
        if data is not None:
            self._take_data(data, labels)
        if isinstance(model, str):
            self.options["model"] = model
        elif model is not None:
            self._table = _to_table(model, "the model")
        if isinstance(self._contents, Vectors):
            if model is not None:
                raise BenchError("give embeddings as data, or a model to compute them, not both")
            self._table = _to_table(self._contents.matrix, self._contents.place)
        if self._table is not None:
            self.options |= {"model": "embeddings", "model.file": _PLACEHOLDER}

    def apply(self, config: Config) -> None:
        """Replace the data and the model of a composed config by what is in memory."""
        if self._frame is not None:
            options = cast("LabeledSource", config.data)
            config.data = InMemory.of(self._frame, options, self._contents)
        if self._table is not None:
            config.model = Precomputed.of(self._table, name=config.model.name)

    def _take_data(self, data: Data, labels: Labels) -> None:
        if isinstance(data, str | Path):
            self.options |= _options_of_path(data)
        elif hasattr(data, "columns"):
            self._frame = cast("pd.DataFrame", data)
        else:
            self._contents = _to_contents(data)
            self._frame = labels_frame(labels, self._contents.place)
        if self._contents is None and labels is not None:
            raise BenchError("labels= are for arrays; folders and tables have their own labels")
        if self._frame is not None:
            self.options |= {"data": "manifest", "data.path": _PLACEHOLDER}


def _options_of_path(data: str | Path) -> dict[str, object]:
    from outliers_bench.config.choices import SCHEMAS

    named = [name for name in SCHEMAS["data"] if name not in _NO_DATA_SETS]
    if isinstance(data, str) and data in named:
        return {"data": data}
    path = absolute_path(data)
    if path.is_dir():
        kind = "prepared" if contains_ready_split(path) else "folder"
        return {"data": kind, "data.root": data}
    if path.is_file() or path.name.lower().endswith(TABLES):
        return {"data": "manifest", "data.path": data}
    raise BenchError(
        f"{data}: neither a folder (looked for {path}), nor a table ({', '.join(TABLES)}), nor a "
        f"data set known by name ({', '.join(named)})"
    )


def _to_contents(data: Array | Sequence[Array]) -> ImageArrays | Vectors:
    try:
        array = data if isinstance(data, np.ndarray) else None
        first = np.asarray(data[0])
    except (TypeError, IndexError, KeyError):
        raise BenchError(
            f"data: a {type(data).__name__}; give a folder, a table, a DataFrame, images of uint8 "
            "or a matrix of embeddings, with at least one row"
        ) from None
    if first.ndim == 1:
        return Vectors(to_matrix(np.asarray(data) if array is None else array, Vectors.place))
    return ImageArrays(data)


def _to_table(vectors: Array | pd.DataFrame, place: str) -> VectorTable:
    if isinstance(vectors, np.ndarray):
        return VectorTable(place, None, to_matrix(vectors, place))
    if not hasattr(vectors, "columns"):
        raise BenchError(
            f"{place} is a {type(vectors).__name__}; give a name, a matrix or a DataFrame of "
            'embeddings, or model="embeddings" with options={"model.file": ...}'
        )
    return table_of_frame(vectors, place)

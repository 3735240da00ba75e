"""Restricted unpickling of NumPy arrays; a general pickle can run arbitrary code."""

from __future__ import annotations

import gzip
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError

_ALLOWED: dict[tuple[str, str], Any] = {
    # NumPy rebuilds arrays with these names; the module moved in NumPy 2.
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it requires {module}.{name}") from None


def read_array(file: Path) -> npt.NDArray[Any]:
    """Read the one numeric array in a gzipped pickle.

    Raises
    ------
    BenchError
        If the file is missing, damaged, or contains anything other than an array of numbers.
    """
    try:
        with gzip.open(file) as stream:
            array = _ArraysOnly(io.BytesIO(stream.read())).load()
    except OSError as error:
        raise BenchError(f"{file} cannot be read: {error}") from None
    # A damaged pickle can fail in any of its operations.
    except Exception as error:
        raise BenchError(f"{file} is refused: it is not a pickled NumPy array ({error})") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise BenchError(f"{file} is refused: it does not contain an array of numbers")
    return array

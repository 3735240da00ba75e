"""Outliers Bench: which method finds the same animal, and what does it cost?"""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

_NEEDED = ("cv2", "faiss", "hydra", "mlflow", "openvino", "tensorflow")

try:
    __version__ = version("outliers-bench")
except PackageNotFoundError:  # a source tree that was never installed for this Python
    __version__ = "0+unknown"
    _missing = [name for name in _NEEDED if find_spec(name) is None]
    if _missing:
        from outliers_bench.invocation import exit_outside_environment

        exit_outside_environment(_missing)

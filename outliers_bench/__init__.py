"""Outliers Bench: which method finds the same animal, and what does it cost?"""

from importlib.util import find_spec

from outliers_bench.version import UNINSTALLED, __version__

__all__ = ["__version__"]

_NEEDED = ("cv2", "faiss", "hydra", "mlflow", "openvino", "tensorflow")

if __version__ == UNINSTALLED:
    _missing = [name for name in _NEEDED if find_spec(name) is None]
    if _missing:
        from outliers_bench.runtime.invocation import exit_outside_environment

        exit_outside_environment(_missing)

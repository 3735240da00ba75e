"""Outliers Bench: which method finds the same animal, and what does it cost?"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("outliers-bench")
except PackageNotFoundError:  # a source tree on PYTHONPATH that was never installed
    __version__ = "0+unknown"

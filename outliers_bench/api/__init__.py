"""Python API: runs and their steps, for notebooks and scripts."""

from outliers_bench.api.result import Result, evaluate
from outliers_bench.api.runs import load_split, run
from outliers_bench.errors import BenchError

__all__ = ["BenchError", "Result", "evaluate", "load_split", "run"]

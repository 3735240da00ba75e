"""Python API: runs and their steps, for notebooks and scripts."""

from outliers_bench.api.comparison import compare
from outliers_bench.api.result import Result, evaluate
from outliers_bench.api.runs import load_split, run
from outliers_bench.api.steps import Engine, embed, open_run, search
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.serving.engine import SearchResult
from outliers_bench.types import Embeddings, Ranking, Split

__all__ = [
    "BenchError",
    "Embeddings",
    "Engine",
    "Evaluation",
    "Ranking",
    "Result",
    "SearchResult",
    "Split",
    "compare",
    "embed",
    "evaluate",
    "load_split",
    "open_run",
    "run",
    "search",
]

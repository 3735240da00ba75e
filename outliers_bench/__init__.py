"""Outliers Bench: which method finds the same animal, and what does it cost?

    import outliers_bench as ob

    result = ob.run("photos/", model="mobilenetv2", pca=256)

See docs/api.md.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from outliers_bench.version import UNINSTALLED, __version__

if TYPE_CHECKING:
    from outliers_bench.api import (
        BenchError,
        Embeddings,
        Engine,
        Evaluation,
        Ranking,
        Result,
        SearchResult,
        Split,
        compare,
        embed,
        evaluate,
        load_split,
        open_run,
        run,
        search,
    )

__all__ = [
    "BenchError",
    "Embeddings",
    "Engine",
    "Evaluation",
    "Ranking",
    "Result",
    "SearchResult",
    "Split",
    "__version__",
    "compare",
    "embed",
    "evaluate",
    "load_split",
    "open_run",
    "run",
    "search",
]

_NEEDED = ("cv2", "faiss", "hydra", "mlflow", "openvino", "tensorflow")

if __version__ == UNINSTALLED:
    _missing = [name for name in _NEEDED if find_spec(name) is None]
    if _missing:
        from outliers_bench.runtime.invocation import exit_outside_environment

        exit_outside_environment(_missing)


if not TYPE_CHECKING:  # a type checker knows the names from above

    def __getattr__(name: str) -> object:
        """Import the API when one of its names is used: it takes a second."""
        if name in __all__:
            from outliers_bench import api

            return getattr(api, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

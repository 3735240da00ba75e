"""The typed schema of a run: what can be asked, of which type, and where conf/ is found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.data.source import DataSource
from outliers_bench.features.engine import Engine
from outliers_bench.features.extractor import Extractor
from outliers_bench.retrieval.index import Index

PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """Where `conf` or `experiments` lies: in the wheel inside the package, in a checkout beside."""
    inside = PACKAGE / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


@dataclass
class Pca:
    """Reduction before the search.

    Parameters
    ----------
    n : int or None
        Number of principal components; None leaves the features as they are.
    whiten : bool
        Whether the components are scaled to unit variance.
    """

    n: int | None = None
    whiten: bool = False


@dataclass
class Cache:
    """What is kept between runs.

    Parameters
    ----------
    dir : str
        Directory of the feature store and the converted models.
    """

    dir: str = MISSING


@dataclass
class Tracking:
    """Where runs are recorded.

    Parameters
    ----------
    uri : str
        MLflow tracking URI. `sqlite:///<file>` is relative to the working directory.
    experiment : str or None
        MLflow experiment; None takes the data set's name.
    """

    uri: str = "sqlite:///mlflow.db"
    experiment: str | None = None


@dataclass
class Pictures:
    """The contact sheets of queries beside what was found.

    Parameters
    ----------
    queries : int
        Queries on each sheet (best, typical, worst); 0 draws none.
    depth : int
        Gallery images beside each query.
    """

    queries: int = 6
    depth: int = 10


@dataclass
class Config:
    """One run, resolved.

    Parameters
    ----------
    k : list of int
        Cut-offs of hit_at_k and precision_at_k.
    seed : int
        Decides the split, the order of ties, random weights, and which queries are pictured.
    skip_finished : bool
        Whether a finished run with the same identity is taken instead of running again.
    """

    data: DataSource = MISSING
    model: Extractor = MISSING
    pca: Pca = field(default_factory=Pca)
    index: Index = MISSING
    engine: Engine = field(default_factory=Engine)
    tracking: Tracking = field(default_factory=Tracking)
    cache: Cache = field(default_factory=Cache)
    pictures: Pictures = field(default_factory=Pictures)
    k: list[int] = field(default_factory=lambda: [1, 3, 5, 10])
    seed: int = 0
    skip_finished: bool = False

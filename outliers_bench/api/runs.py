"""Whole runs, and splits, from Python."""

from __future__ import annotations

from collections.abc import Sequence

from outliers_bench.api.compose import Options, compose, to_words
from outliers_bench.api.inputs import Data, Inputs, Labels, ModelLike
from outliers_bench.api.result import Result
from outliers_bench.config.schema import Config
from outliers_bench.data.source import Leakage
from outliers_bench.errors import BenchError
from outliers_bench.result import FinishedRun
from outliers_bench.runtime.progress import progress_shown
from outliers_bench.types import Split


def run(
    data: Data,
    *,
    labels: Labels = None,
    model: ModelLike = None,
    weights: str | None = None,
    image_size: int | None = None,
    pca: int | None = None,
    index: str | None = None,
    metric: str | None = None,
    rerank: str | None = None,
    protocol: str | None = None,
    k: Sequence[int] | None = None,
    seed: int | None = None,
    options: Options | None = None,
    record: bool = False,
    progress: bool = False,
) -> Result:
    """Run the benchmark: split the data, rank with a method, evaluate the ranking.

    The figures are those of `python -m outliers_bench` with the same options. Features and other
    results are cached as there.

    Parameters
    ----------
    data : str, Path, DataFrame, array or list of arrays
        A folder of class folders, or one with `query` and `gallery` in it; a table of images
        (`.csv`, `.tsv`, `.parquet`) or a DataFrame like it, with the columns path and label, and
        optionally split and group; the name of a data set, such as `"silhouettes"`; images of
        uint8, of shape (n, height, width, 3) or a list of (height, width, 3); or a matrix of
        embeddings of shape (n, d), instead of a model.
    labels : iterable or DataFrame, optional
        For arrays: a label per row, or a table with the column label, and optionally split and
        group.
    model : str, array or DataFrame, optional
        Name of a model, as `model=`; or embeddings of `data`: a matrix with a row for each image,
        in order, or a table with the column path.
    weights, image_size
        `model.weights` and `model.image_size`.
    pca : int, optional
        Number of components, `pca.n`.
    index, metric, rerank, protocol
        `index`, `index.metric`, `rerank` and `data.protocol`.
    k : sequence of int, optional
        Cutoffs.
    seed : int, optional
        See `seed`.
    options : mapping of str to object, optional
        All other options, by their names on the command line: `{"model.pooling": "max"}`.
    record : bool
        Record the run in MLflow, as the command line does (option `tracking.uri`).
    progress : bool
        Show progress bars in a terminal or a notebook.

    Returns
    -------
    Result

    Raises
    ------
    BenchError
        If an option or the data cannot be used; with the message of the command line.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    >>> images[::2] //= 2
    >>> labels = ["dark", "light"] * 10
    >>> result = run(images, labels=labels, model="pixels", metric="euclidean", k=[1])
    >>> result.metrics["hit_at_1"]
    0.75
    """
    inputs = Inputs(data, labels, model)
    given = {
        **inputs.options,
        "model.weights": weights,
        "model.image_size": image_size,
        "pca.n": pca,
        "index": index,
        "index.metric": metric,
        "rerank": rerank,
        "data.protocol": protocol,
        "k": k,
        "seed": seed,
    }
    config = compose(given, options, change=inputs.apply)
    with progress_shown(progress):
        if record:
            from outliers_bench import recorded_run

            words = to_words(given, options)
            result = recorded_run.run(recorded_run.prepare(config), overrides=words, show=False)
            if isinstance(result, FinishedRun):
                raise BenchError(
                    f"the same run has finished already ({result.run_id[:8]}): compare it by its "
                    "id, open it with open_run, or leave out skip_finished"
                )
        else:
            from outliers_bench import benchmark

            fetch_models(config)
            result = benchmark.run(benchmark.prepare(config))
    return Result(**vars(result), config=config)


def load_split(
    data: Data,
    *,
    labels: Labels = None,
    protocol: str | None = None,
    seed: int | None = None,
    options: Options | None = None,
    progress: bool = False,
) -> Split:
    """Load data and split it into train, query and gallery, as a run does.

    Parameters
    ----------
    data, labels, protocol, seed, options, progress
        See `run`. Shares are `options={"data.train": 0.5, "data.query": 0.2}`.

    Returns
    -------
    Split

    Raises
    ------
    BenchError
        If the data cannot be read or split as requested.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1) * np.ones((9, 9, 3), np.uint8)
    >>> split = load_split(images, labels=["cat", "dog"] * 10)
    >>> len(split.train), len(split.query), len(split.gallery), split.gallery.classes
    (14, 4, 2, ('cat', 'dog'))
    """
    from outliers_bench.leakage.audited_splits import splits

    inputs = Inputs(data, labels)
    # Any model will do, and this one needs no extra.
    given = {"model": "pixels", **inputs.options, "data.protocol": protocol, "seed": seed}
    config = compose(given, options, change=inputs.apply)
    config.cache.check()
    with progress_shown(progress):
        # An audit that only reports has no effect on the split.
        reports = config.data.leakage is Leakage.report
        load = splits.load_unaudited if reports else splits.load
        return load(config.data, seed=config.seed, cache=config.cache.path)


def fetch_models(config: Config) -> None:
    """Download the models that the options name by an MLflow URI, if there are any."""
    if config.model.model_uris:
        from outliers_bench.tracking.models import fetch_models

        fetch_models(config)

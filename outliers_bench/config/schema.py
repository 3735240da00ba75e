"""Schema of a run's options, with their types and checks."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from outliers_bench.config.choices import SCHEMAS
from outliers_bench.config.paths import config_groups, resource_dir
from outliers_bench.config.published import Published, name_row
from outliers_bench.config.renamed import refusal
from outliers_bench.config.resolve import composer
from outliers_bench.data.image_files import absolute_path, make_cache_dir
from outliers_bench.data.source import DataSource
from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.choose_clusters import Statistics
from outliers_bench.models.model import Model
from outliers_bench.models.precision import check_model
from outliers_bench.models.weights_folder import check_folder
from outliers_bench.retrieval.indexes.index import Index
from outliers_bench.retrieval.normalize import L2
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.retrieval.reduction.reducer import Reducer
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.runtime.option_roles import OF_EMBEDDINGS, OF_TRAINING, PLACE, SPEED
from outliers_bench.training.augment import Augment
from outliers_bench.training.schedules import LrSchedule

if TYPE_CHECKING:
    from outliers_bench.methods.method import Method
    from outliers_bench.runtime.meter import Meter

MAX_TILES = 200  # rows or columns; a larger sheet does not fit an image file


@dataclass
class Cache:
    """Features, models and other results cached between runs.

    Parameters
    ----------
    dir : str
        Directory of the feature store and the converted models.
    """

    dir: str = MISSING

    @property
    def path(self) -> Path:
        """Directory, with ~ resolved."""
        return absolute_path(self.dir, "cache.dir")

    def check(self) -> None:
        """Make the directory if necessary; raise `BenchError` if it cannot be written."""
        make_cache_dir(self.dir, "cache.dir")


@dataclass
class Tracking:
    """MLflow store in which runs are recorded.

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
class ContactSheets:
    """Contact sheets of queries next to the gallery images found for them.

    Parameters
    ----------
    queries : int
        Queries on each sheet (best, typical, worst); 0 draws none.
    depth : int
        Gallery images next to each query.
    captions : list of str
        Columns of the images, such as camera and time, below each; `path` for its name.
    """

    queries: int = 6
    depth: int = 10
    captions: list[str] = field(default_factory=list)


@dataclass
class Config:
    """One run, resolved.

    Parameters
    ----------
    k : list of int
        Cutoffs of hit_at_k, precision_at_k and map_at_k.
    lr_schedule, augment, deterministic
        Training of networks; a trained model takes them over.
    seed : int
        Determines the split, the order of ties, random weights, and the queries on contact sheets.
    skip_finished : bool
        Reuse a finished run with the same identity instead of running again.
    objective : str
        Metric that selects the best run of a sweep, and that a sweeper such as Optuna optimizes.
    weights_dir : str or None
        Folder with files of ImageNet weights under their usual names, used for `weights=imagenet`.
        Keras downloads the weights that are not there.
    published : Published
        Row of a published table; filled in by experiments/.
    """

    data: DataSource = MISSING
    model: Model = MISSING
    l2: L2 = field(default_factory=L2, metadata=OF_EMBEDDINGS)
    pca: Pca = field(default_factory=Pca, metadata=OF_EMBEDDINGS)
    reduce: Reducer = field(default_factory=Reducer, metadata=OF_EMBEDDINGS)
    index: Index = field(default=MISSING, metadata=OF_EMBEDDINGS)
    rerank: Rerank = field(default_factory=Rerank, metadata=OF_EMBEDDINGS)
    lr_schedule: LrSchedule = field(default_factory=LrSchedule, metadata=OF_TRAINING)
    augment: Augment = field(default_factory=Augment, metadata=OF_TRAINING)
    engine: Engine = field(default_factory=Engine, metadata=SPEED)
    tracking: Tracking = field(default_factory=Tracking, metadata=PLACE)
    cache: Cache = field(default_factory=Cache, metadata=PLACE)
    contact_sheets: ContactSheets = field(default_factory=ContactSheets, metadata=PLACE)
    statistics: Statistics = field(default_factory=Statistics)
    k: list[int] = field(default_factory=lambda: [1, 3, 5, 10])
    seed: int = 0
    deterministic: bool = field(default=False, metadata=OF_TRAINING)
    skip_finished: bool = field(default=False, metadata=SPEED)
    objective: str = field(default="hit_at_1", metadata=SPEED)
    weights_dir: str | None = field(default=None, metadata=PLACE)
    published: Published = field(default_factory=Published, metadata=PLACE)

    @property
    def reducer(self) -> Reducer:
        """Active one of `pca` and `reduce`."""
        return self.reduce if self.reduce.active else self.pca

    @property
    def shared(self) -> dict[str, Any]:
        """Options that models take over from the run."""
        return {name: getattr(self, name) for name in ("seed", *needing("trains"))}

    def method(self, meter: Meter) -> Method:
        """Build the method that the options describe; `meter` records its costs."""
        from outliers_bench.methods.build import build
        from outliers_bench.methods.parts import EmbeddingSearch, Workspace

        search = EmbeddingSearch(self.l2, self.reducer, self.index, self.rerank)
        return build(self.model, Workspace(self.engine, self.cache.path, self.seed, meter), search)

    def check(self) -> None:
        """Resolve names, such as those of an ensemble's members, and check every option.

        Raises
        ------
        BenchError
            If an option is unknown or out of range, or two of them contradict each other.
        """
        _refuse_unknown(self, "")
        _check_ranges(self)
        self.statistics.check()
        self.published.check()
        self.model.resolve(composer(self.shared, resource_dir("conf")), self.weights_dir)
        self.model.check()
        self.engine.check(self.cache.path)
        check_model(self.model, self.engine)
        _use_short_form(self)
        self.pca.check()
        self.reduce.check()
        if self.pca.active and self.reduce.active:
            raise BenchError(
                f"pca.n={self.pca.n} and reduce={self.reduce.name} both reduce the vectors; "
                "leave one of them out"
            )
        self.index.check()
        self.rerank.check()
        if self.rerank.label:
            self.model.check_rerank(self.rerank.name)


def needing(answer: str) -> list[str]:
    """List the options that have no effect unless the model `embeds`, or `trains`."""
    return [entry.name for entry in fields(Config) if entry.metadata.get("needs") == answer]


def to_config(cfg: DictConfig) -> Config:
    """Convert a composed Hydra config to dataclasses, and check them; see `Config.check`."""
    config = to_unchecked(cfg)
    config.check()
    return config


def to_unchecked(cfg: DictConfig) -> Config:
    """Convert a composed Hydra config; raise `BenchError` if a required option is missing."""
    try:
        config = OmegaConf.to_object(cfg)
    except MissingMandatoryValue as error:
        key = str(error.full_key or error.key)
        raise BenchError(f"{key} is missing: give it as {key}=<value>") from error
    if not isinstance(config, Config):
        raise TypeError(f"the primary config is a {type(config).__name__}, not the Config schema")
    return config


def _use_short_form(config: Config) -> None:
    """Make `reduce=pca reduce.n=500` the same run as `pca.n=500`."""
    if not isinstance(config.reduce, Pca):
        return
    if config.pca != Pca():
        raise BenchError("reduce=pca and pca.n= are the same; give only one of them")
    if config.reduce.n is None or config.reduce.n < 1:
        raise BenchError("reduce=pca needs a number of components, at least 1: give reduce.n too")
    config.pca, config.reduce = config.reduce, Reducer()


def _refuse_unknown(node: object, path: str) -> None:
    # Hydra's +key=value adds what no schema knows; nothing would ever read it.
    known = [entry.name for entry in fields(node)]  # type: ignore[arg-type]
    for name, value in vars(node).items():
        if name not in known and not name.startswith("_"):
            if message := refusal(f"{path}{name}"):
                raise BenchError(message)
            raise BenchError(
                f"{path}{name} is not an option; {path or 'there'} has {', '.join(known)}"
            )
        if is_dataclass(value):
            _refuse_unknown(value, f"{path}{name}.")


def _check_ranges(config: Config) -> None:
    if not config.k or min(config.k) < 1:
        raise BenchError(f"k={config.k}: a list of at least one cutoff, each at least 1")
    if not 0 <= config.seed < 2**32:
        raise BenchError(f"seed={config.seed}: a seed is from 0 to {2**32 - 1}")
    for name in ("queries", "depth"):
        number = getattr(config.contact_sheets, name)
        if not 0 <= number <= MAX_TILES:
            raise BenchError(f"contact_sheets.{name}={number}: from 0 to {MAX_TILES}")
    locations = {
        "cache.dir": config.cache.dir,
        "tracking.uri": config.tracking.uri,
        "weights_dir": config.weights_dir,
    }
    for option, value in locations.items():
        if value is not None and not value.strip():
            raise BenchError(f"{option}= is empty; leave it out to have the default")
    if config.weights_dir is not None:
        check_folder(config.weights_dir)
    if config.tracking.experiment is not None and not config.tracking.experiment.strip():
        raise BenchError("tracking.experiment= is empty; leave it out to have the data set's name")


@cache  # Hydra's store lives as long as the process
def register() -> None:
    """Register the schema and the experiments with Hydra."""
    from hydra.core.config_store import ConfigStore

    from outliers_bench.config.option_files import (
        load_options,  # imports Hydra, as a search does not
    )

    # Hydra copies its search path before each composition, and with it this store, which it only
    # reads: a tenth of the second command of a sweep.
    ConfigStore.__deepcopy__ = lambda store, _: store  # type: ignore[attr-defined]
    store = ConfigStore.instance()
    store.store(name="config_schema", node=Config)
    for group, schemas in SCHEMAS.items():
        for name, schema in schemas.items():
            node = OmegaConf.structured(schema)
            if "random_seed" in node:
                node.random_seed = "${seed}"
            for taken in needing("trains"):
                if taken in node:
                    node[taken] = f"${{{taken}}}"
            store.store(group=f"schema/{group}", name=name, node=node)
    # As a second search path the folder above experiments/ would do, but that is the whole
    # checkout, .venv included, and Hydra would walk through it to list the groups.
    experiments = resource_dir("experiments")
    for group, files in config_groups(experiments, "experiments"):
        for file in files:
            node = load_options(file)
            name_row(node, file)
            store.store(group=group, name=file.stem, node=node, package="_global_")

"""Base classes of the `model=` options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from outliers_bench.data.decode import oversampled_side, resize
from outliers_bench.engines.embed import network_embedder
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import LARGEST_SIDE, Embedder
from outliers_bench.errors import BenchError
from outliers_bench.models.model_uris import is_model_uri
from outliers_bench.models.tta import Tta
from outliers_bench.runtime.option_labels import join_nonempty
from outliers_bench.runtime.option_roles import result_options
from outliers_bench.store.features import Space
from outliers_bench.types import RGB, ImageSet, Split

if TYPE_CHECKING:
    from outliers_bench.engines.protocols import Network

Compose: TypeAlias = Callable[[Sequence[str], str], "list[Model]"]


@dataclass
class Model:
    """Base of the `model=` options.

    Parameters
    ----------
    name : str
        Name of the model in tables.
    """

    name: str

    @property
    def embeds(self) -> bool:
        """True if the model has embeddings for a reduction, an index and re-ranking."""
        return True

    @property
    def variant(self) -> str:
        """Options that distinguish uses of one model in tables."""
        raise NotImplementedError

    @property
    def model_uris(self) -> tuple[str, ...]:
        """MLflow URIs of weights, which must be downloaded before anything else."""
        weights = getattr(self, "weights", "")
        return (weights,) if isinstance(weights, str) and is_model_uri(weights) else ()

    @property
    def family(self) -> str:
        """Family in tables: keypoints, pretrained, trained, ensemble or baseline."""
        return "baseline"

    @property
    def own_search(self) -> tuple[str, str] | None:
        """Index and similarity in tables, if the model does not rank by embeddings."""
        return None

    @property
    def models(self) -> tuple[Model, ...]:
        """The members of an ensemble; of any other model, the model itself."""
        return (self,)

    @property
    def resolved(self) -> dict[str, Model]:
        """The members of an ensemble by label; empty for any other model."""
        return {}

    @property
    def learns_from_labels(self) -> bool:
        """True if labels affect the features; weights of earlier runs may have learned from any."""
        return bool(self.model_uris)

    @property
    def inert_options(self) -> tuple[str, ...]:
        """Options that have no effect on the scores, given the other options."""
        return ()

    @property
    def trains(self) -> bool:
        """True if a network is trained in the run, so that `lr_schedule` and the like apply."""
        return False

    def result_options(self) -> dict[str, Any]:
        """Return the options that the scores depend on; files are identified by their content."""
        values = {**result_options(self), **self.space()}
        return {name: value for name, value in values.items() if name not in self.inert_options}

    def dimensions_on(self, train: ImageSet) -> int | None:  # noqa: ARG002 - the same for all
        """Return the length of embeddings learned from `train`; None if not known before."""
        length: int | None = getattr(self, "dimensions", None)
        return length

    def diagnostics(self, split: Split) -> dict[str, float]:  # noqa: ARG002 - nothing, as a rule
        """Return counts that help to interpret the scores on a split."""
        return {}

    def resolve(self, compose: Compose, weights_dir: str | None) -> None:
        """Replace the names of models and weights by what they refer to, if there are any.

        `compose` takes the names of models and the option that has them; `weights_dir` is a folder
        with files of ImageNet weights.

        Raises
        ------
        BenchError
            If a name or an option does not exist.
        """

    def check(self) -> None:
        """Raise `BenchError` for invalid options; takes milliseconds at most."""
        raise NotImplementedError

    def check_rerank(self, rerank: str) -> None:
        """Raise `BenchError` if a re-ranking, given by its name, has nothing to re-rank."""

    def check_split(self, split: Split) -> None:
        """Raise `BenchError` if the model cannot learn what it needs from a split."""

    def space(self) -> Space:
        """Return everything the features depend on, which is their key in the feature store."""
        raise NotImplementedError

    def space_on(self, split: Split) -> Space:  # noqa: ARG002 - nothing, as a rule
        """Return what the features depend on besides the content of the images of a split."""
        return {}


@dataclass
class Extractor(Model):
    """Base of the `model=` options that embed each image on its own.

    Parameters
    ----------
    image_size : int
        Side in pixels of the square that photos are resized to.
    tta : Tta
        Test-time augmentation; by default each photo is embedded once, as it is.
    """

    image_size: int
    tta: Tta = field(default_factory=Tta, kw_only=True)

    @property
    def dimensions(self) -> int:
        """Length of the embeddings, known without building anything."""
        raise NotImplementedError

    @property
    def variant(self) -> str:
        """Image size and non-default options."""
        return join_nonempty(f"{self.image_size}px", self.tta.label)

    def check_tta(self, smallest: int = 1) -> None:
        """Raise `BenchError` for views that cannot be computed or averaged.

        `smallest` is the smallest side in pixels that the model accepts.
        """
        self.tta.check(self.image_size)
        for scale, size in zip(self.tta.scales, self.tta.sizes(self.image_size), strict=True):
            scaled = f"model.tta.scales: {scale:g} times {self.image_size} is {size:g} pixels"
            if size < smallest:
                raise BenchError(
                    f"{scaled}, too few for {self.name}, which needs {smallest} or more"
                )
            if size > LARGEST_SIDE:
                raise BenchError(f"{scaled}, too many: at most {LARGEST_SIDE}")
            length = replace(self, image_size=size).dimensions
            if length != self.dimensions:
                raise BenchError(
                    f"{scaled}, for which {self.name} has vectors of length {length:,} instead of "
                    f"{self.dimensions:,}; only vectors of one length can be averaged"
                )

    @property
    def side(self) -> int | None:
        """Minimum side in pixels to decode a photo at; None decodes it in full size."""
        return oversampled_side(self.image_size)

    def prepare(self, image: RGB) -> RGB:
        """Preprocess a decoded image for embedding; called in several threads."""
        return resize(image, self.image_size)

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Prepare an embedder, which is expensive: builds, loads and converts the network.

        Parameters
        ----------
        engine : Engine
            Inference engine.
        cache : Path
            Directory that caches converted models.
        sample : callable
            Returns a few resized images to check a new conversion on.
        """
        return network_embedder(cast("Network", self), engine, cache, sample)


class Describer(Protocol):
    """Source of features that can be cached: an `Extractor` or a keypoint detector."""

    @property
    def name(self) -> str:
        """Name shown while it is loading."""
        ...

    @property
    def dimensions(self) -> int | None:
        """Length of the vectors; None if it differs by image."""
        ...

    @property
    def side(self) -> int | None:
        """Minimum side in pixels to decode an image at; None decodes it in full size."""
        ...

    def space(self) -> Space:
        """Return everything the features depend on."""
        ...

    def prepare(self, image: RGB) -> RGB:
        """Preprocess a decoded image; called in several threads."""
        ...

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Prepare an embedder; see `Extractor.embedder`."""
        ...

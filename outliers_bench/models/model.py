"""What turns an image into a vector: the protocol behind most of the `model=` options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from outliers_bench.data.decode import oversampled, resize
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import LARGEST_SIDE, Embedder
from outliers_bench.errors import BenchError
from outliers_bench.models.model_uris import is_model_uri
from outliers_bench.models.tta import Tta
from outliers_bench.runtime.option_labels import joined
from outliers_bench.store.features import Space
from outliers_bench.types import RGB, ImageSet, Split


@dataclass
class Model:
    """Base of the `model=` options.

    Parameters
    ----------
    name : str
        What the model is called in tables.
    """

    name: str

    @property
    def embeds(self) -> bool:
        """Whether a PCA, an index and a re-ranking have something to work on."""
        return True

    @property
    def variant(self) -> str:
        """What tells two uses of one model apart in tables."""
        raise NotImplementedError

    @property
    def model_uris(self) -> tuple[str, ...]:
        """Addresses in MLflow of weights that must be fetched before anything else."""
        weights = getattr(self, "weights", "")
        return (weights,) if isinstance(weights, str) and is_model_uri(weights) else ()

    @property
    def inert_options(self) -> tuple[str, ...]:
        """Options that change no figure."""
        return ()

    def dimensions_on(self, train: ImageSet) -> int | None:  # noqa: ARG002 - the same for all
        """Length of the embeddings after learning from `train`; None where only that tells."""
        length: int | None = getattr(self, "dimensions", None)
        return length

    def diagnostics(self, split: Split) -> dict[str, float]:  # noqa: ARG002 - nothing, as a rule
        """Counts of what whoever reads the figures of a split should know."""
        return {}

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work; takes no more than milliseconds."""
        raise NotImplementedError

    def check_split(self, split: Split) -> None:
        """Raise `BenchError` where the model cannot learn what it needs from a split."""

    def space(self) -> Space:
        """Everything about the model that the numbers depend on: the key of the feature store."""
        raise NotImplementedError


@dataclass
class Extractor(Model):
    """Base of the `model=` options that embed each image on its own.

    Parameters
    ----------
    image_size : int
        Side in pixels of the square that photos are squeezed to.
    tta : TestTimeAugmentation
        How often each photo is looked at; plain, once and as it is.
    """

    image_size: int
    tta: Tta = field(default_factory=Tta, kw_only=True)

    @property
    def dimensions(self) -> int:
        """Length of the vectors, known without building anything."""
        raise NotImplementedError

    @property
    def variant(self) -> str:
        """The image size, and what is unusual."""
        return joined(f"{self.image_size}px", self.tta.label)

    def check_tta(self, smallest: int = 1) -> None:
        """Raise `BenchError` for views that cannot be computed, or not averaged.

        Parameters
        ----------
        smallest : int
            Side in pixels that the model can take.
        """
        self.tta.check(self.image_size)
        for scale, size in zip(self.tta.scales, self.tta.sizes(self.image_size), strict=True):
            told = f"model.tta.scales: {scale:g} times {self.image_size} is {size:g} pixels"
            if size < smallest:
                raise BenchError(f"{told}, too few for {self.name}, which needs {smallest} or more")
            if size > LARGEST_SIDE:
                raise BenchError(f"{told}, too many: at most {LARGEST_SIDE}")
            length = replace(self, image_size=size).dimensions
            if length != self.dimensions:
                raise BenchError(
                    f"{told}, of which {self.name} makes {length:,} numbers and not "
                    f"{self.dimensions:,}; only vectors of one length can be averaged"
                )

    @property
    def side(self) -> int | None:
        """Pixels that a decoded photo's sides must at least have; None: all that it has."""
        return oversampled(self.image_size)

    def prepare(self, image: RGB) -> RGB:
        """What is made of a decoded image before it is embedded; called in several threads."""
        return resize(image, self.image_size)

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Get ready to embed. The expensive part: builds, loads, converts.

        Parameters
        ----------
        engine : Engine
            What computes.
        cache : Path
            Directory that keeps converted models between runs.
        sample : callable
            Gives a few images, resized, on which a fresh conversion is checked.
        """
        raise NotImplementedError


class Describer(Protocol):
    """What turns images into features that can be stored: an `Extractor`, or a detector."""

    @property
    def name(self) -> str:
        """What it is called while it is loading."""
        ...

    @property
    def dimensions(self) -> int | None:
        """Length of the vectors; None where each image has its own."""
        ...

    @property
    def side(self) -> int | None:
        """Pixels that a decoded image's sides must at least have; None: all that it has."""
        ...

    def space(self) -> Space:
        """Everything that the numbers depend on."""
        ...

    def prepare(self, image: RGB) -> RGB:
        """What is made of a decoded image before it is described; called in several threads."""
        ...

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Get ready; see `Extractor.embedder`."""
        ...

"""A trained network as an extractor: photos to the output of one of its layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import digest_of
from outliers_bench.models.model import Extractor
from outliers_bench.store.features import Space
from outliers_bench.training.assemble import InferenceNetwork, build_inference_network
from outliers_bench.training.base import TrainedModel
from outliers_bench.types import RGB


@dataclass
class TrainedExtractor(Extractor):
    """Embeds with a network that has been trained.

    Parameters
    ----------
    option : Trained
        Which network, and which of its layers.
    file : Path
        `model.keras`.
    classes : int
        How many it tells apart.
    length : int
        Of the embeddings.
    """

    option: TrainedModel
    file: Path
    classes: int
    length: int

    @property
    def dimensions(self) -> int:
        """Length of the embeddings."""
        return self.length

    @property
    def always_f32(self) -> bool:
        """Whether the embeddings are float32 in any case: those of a run's own training are."""
        return not self.option.ready

    def space(self) -> Space:
        """Everything the embeddings depend on, but the photos and the engine."""
        return {
            "architecture": f"{self.name} {self.option.embedding.value}",
            "weights": digest_of(self.file),
            "image_size": self.image_size,
        }

    def load(self) -> InferenceNetwork:
        """The network with its weights.

        Raises
        ------
        BenchError
            If the file holds another network.
        """
        import_tensorflow()
        kept = build_inference_network(self.option, self.classes)
        try:
            kept.network.load_weights(self.file)
        except (OSError, KeyError, ValueError) as error:
            raise BenchError(
                f"{self.file}: this is not a trained {self.name} with these options "
                f"({' '.join(str(error).split())[:200]})"
            ) from error
        return kept

    def build(self) -> Any:  # noqa: ANN401 - keras.Model
        """Build the network down to the embedding; see `Backbone.build`."""
        import keras

        policy = keras.config.dtype_policy()  # which the session has
        keras.utils.clear_session()
        keras.config.set_dtype_policy(policy)
        kept = self.load()
        return keras.Model(kept.network.input, kept.outputs[self.option.embedding], name=self.name)

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Build the network and bring it to the engine; see `Extractor.embedder`."""
        from outliers_bench.engines.embed import network_embedder

        return network_embedder(self, engine, cache, sample)

"""A trained network as an extractor: the embedding is the output of one of its layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.models.model import Extractor
from outliers_bench.store.features import Space
from outliers_bench.store.seal import network_digest
from outliers_bench.training.assemble import InferenceNetwork, build_inference_network
from outliers_bench.training.base import TrainedModel
from outliers_bench.training.saved_network import NetworkMetadata


@dataclass
class TrainedExtractor(Extractor):
    """Extractor of a trained network."""

    option: TrainedModel  # of the network, including the embedding layer
    file: Path  # `model.keras`
    metadata: NetworkMetadata

    @property
    def dimensions(self) -> int:
        """Length of the embeddings."""
        return self.metadata.dimensions[self.option.embedding.value]

    def space(self) -> Space:
        """Return everything that the embeddings depend on, except photos and engine."""
        return {
            "architecture": f"{self.name} {self.option.embedding.value}",
            "weights": network_digest(self.file),
            "image_size": self.image_size,
        }

    def load(self) -> InferenceNetwork:
        """Load the network with its weights.

        Raises
        ------
        BenchError
            If the file contains another network.
        """
        import_tensorflow()
        inference = build_inference_network(self.option, len(self.metadata.classes))
        try:
            inference.network.load_weights(self.file)
        except (OSError, KeyError, ValueError) as error:
            raise BenchError(
                f"{self.file}: not a trained {self.name} with these options "
                f"({' '.join(str(error).split())[:200]})"
            ) from error
        return inference

    def build(self) -> Any:  # noqa: ANN401 - keras.Model
        """Build the network from pixels to the embedding; see `Backbone.build`."""
        import keras

        inference = self.load()
        embedding = inference.outputs[self.option.embedding]
        return keras.Model(inference.network.input, embedding, name=self.name)

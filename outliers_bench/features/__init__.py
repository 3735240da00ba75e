"""Images to vectors: backbones, inference engines, the feature store."""

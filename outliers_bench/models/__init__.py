"""Models that turn a photo into a vector: backbones with their weights, and raw pixels."""

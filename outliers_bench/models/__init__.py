"""Embedding models: backbones with their weights, and the raw-pixel baseline."""

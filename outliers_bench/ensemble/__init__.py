"""Ensembles: concatenated embeddings or fused rankings of several methods."""

"""Dimensionality reduction: PCA, learned whitening, random projection."""

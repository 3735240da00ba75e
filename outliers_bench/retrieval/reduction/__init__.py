"""Fewer dimensions before the search: PCA, learned whitening, random projection."""

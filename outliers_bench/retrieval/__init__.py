"""Dimensionality reduction, vector indexes and re-ranking."""

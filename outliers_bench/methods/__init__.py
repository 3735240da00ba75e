"""Retrieval methods with one protocol: check, extract, fit, index."""

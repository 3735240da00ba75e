"""Retrieval methods with one protocol: extract, fit, rank."""

"""Persistent files: atomic writes, cached arrays, and the feature store."""

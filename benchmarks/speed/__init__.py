"""Sections of `python -m benchmarks`; every method is measured in its own process."""

"""Benchmarks of speed and memory: `python -m benchmarks`, and one module per other subject."""

import outliers_bench  # noqa: F401 - outside the environment, reports which one to activate

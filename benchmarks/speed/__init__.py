"""Ours beside the other ways, each in a process of its own; `python -m benchmarks` runs it."""

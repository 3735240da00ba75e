"""Command line of the benchmark: one run, a sweep, help."""

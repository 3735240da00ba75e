"""Commands other than the benchmark: they provide photos for runs, or use finished runs."""

"""The `rerank=` options that re-rank by vectors alone."""

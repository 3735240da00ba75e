"""The `index=` options: exact and approximate nearest-neighbor indexes."""

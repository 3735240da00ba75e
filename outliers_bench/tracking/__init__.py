"""MLflow tracking: recording of runs, and lookup of recorded runs and models."""

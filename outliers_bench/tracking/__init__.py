"""Everything that speaks to MLflow."""

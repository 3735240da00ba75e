"""A run's ranking, handed in to a competition."""

"""Submission of a run's ranking to a competition."""

"""Sweeps: search spaces, objectives, and the parent run that summarizes the jobs."""

"""Cleaning of a photo folder: find problems and move the photos to a quarantine, reversibly."""

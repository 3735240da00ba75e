"""Data sources: image files on disk to a `Split`. Images are decoded here only."""

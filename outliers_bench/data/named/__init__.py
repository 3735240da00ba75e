"""Named data sets: metadata, download, and reading of their files."""

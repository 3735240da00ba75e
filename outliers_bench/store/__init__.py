"""Files that outlive a run: atomic writes and stored features."""

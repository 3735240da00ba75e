"""Photos that are in two parts of a split: found, reported, removed."""

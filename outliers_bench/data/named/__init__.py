"""Data sets known by name: what they are, where they lie, how their files become images."""

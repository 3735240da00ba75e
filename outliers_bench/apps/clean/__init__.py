"""Cleaning a folder of photos: what is wrong with it, put aside so that it can come back."""

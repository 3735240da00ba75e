"""Feature extraction: compute the vectors of images once and store them."""

"""Local features: keypoints and their descriptors, matched, verified, aggregated, drawn."""

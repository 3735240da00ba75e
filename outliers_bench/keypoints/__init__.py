"""Local features: detection, matching, geometric verification and aggregation of keypoints."""

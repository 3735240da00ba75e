"""List, verify and prune the cache."""

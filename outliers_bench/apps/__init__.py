"""Commands beside the benchmark: photos to begin with, finished runs put to use."""

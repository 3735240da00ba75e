"""What things cost: `python -m benchmarks` for speed, the other modules for one subject each."""

import outliers_bench  # noqa: F401 - says, outside the environment, which to take

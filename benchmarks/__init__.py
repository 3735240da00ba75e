"""What things cost: `python -m benchmarks` for speed, the other modules for one subject each."""

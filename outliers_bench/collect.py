"""`python -m outliers_bench.collect`, as `python -m outliers_bench collect`."""

from outliers_bench.apps.collect.command import run

if __name__ == "__main__":
    raise SystemExit(run())

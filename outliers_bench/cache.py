"""`python -m outliers_bench.cache`, as `python -m outliers_bench cache`."""

from outliers_bench.apps.cache.command import run

if __name__ == "__main__":
    raise SystemExit(run())

"""`python -m outliers_bench.search`, as `python -m outliers_bench search`."""

from outliers_bench.apps.search.command import run

if __name__ == "__main__":
    raise SystemExit(run())

"""`python -m outliers_bench.clean`, as `python -m outliers_bench clean`."""

from outliers_bench.apps.clean.command import run

if __name__ == "__main__":
    raise SystemExit(run())

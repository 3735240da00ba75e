"""`python -m outliers_bench.submit`, as `python -m outliers_bench submit`."""

from outliers_bench.apps.submit.command import run

if __name__ == "__main__":
    raise SystemExit(run())

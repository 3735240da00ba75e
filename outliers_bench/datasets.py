"""`python -m outliers_bench.datasets`, as `python -m outliers_bench datasets`."""

from outliers_bench.apps.datasets import run

if __name__ == "__main__":
    raise SystemExit(run())

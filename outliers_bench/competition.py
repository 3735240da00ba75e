"""`python -m outliers_bench.competition`, as `python -m outliers_bench competition`."""

from outliers_bench.apps.competition.command import run

if __name__ == "__main__":
    raise SystemExit(run())

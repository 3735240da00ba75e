"""`python -m outliers_bench.leaderboard`, as `python -m outliers_bench leaderboard`."""

from outliers_bench.leaderboard.command import run

if __name__ == "__main__":
    raise SystemExit(run())

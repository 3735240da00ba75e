"""Leaderboard of recorded runs, with published figures next to measured ones."""

from outliers_bench.leaderboard.boards import Board, Row
from outliers_bench.leaderboard.read import build_boards, read_boards
from outliers_bench.leaderboard.terminal import show_boards
from outliers_bench.leaderboard.write import FORMATS, write_boards

__all__ = [
    "FORMATS",
    "Board",
    "Row",
    "build_boards",
    "read_boards",
    "show_boards",
    "write_boards",
]

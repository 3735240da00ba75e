"""The leaderboard: recorded runs side by side, published figures beside measured ones."""

from outliers_bench.reports.leaderboard.boards import Board, Row
from outliers_bench.reports.leaderboard.columns import cells
from outliers_bench.reports.leaderboard.files import FORMATS, write_boards
from outliers_bench.reports.leaderboard.read import boards_of, read_boards
from outliers_bench.reports.leaderboard.terminal import show_boards

__all__ = [
    "FORMATS",
    "Board",
    "Row",
    "boards_of",
    "cells",
    "read_boards",
    "show_boards",
    "write_boards",
]

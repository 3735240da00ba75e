"""The leaderboard: recorded runs side by side, published figures beside measured ones."""

from outliers_bench.leaderboard.boards import Board, Row
from outliers_bench.leaderboard.columns import cells
from outliers_bench.leaderboard.read import boards_of, read_boards
from outliers_bench.leaderboard.terminal import show_boards
from outliers_bench.leaderboard.write import FORMATS, write_boards

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

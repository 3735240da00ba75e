"""A command line that tells a mistake in one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from outliers_bench.runtime.invocation import as_called


class Parser(argparse.ArgumentParser):
    """As argparse's, without the usage before every error."""

    def error(self, message: str) -> NoReturn:
        """Tell what is wrong and end with code 2."""
        self.exit(2, as_called(f"{self.prog}: {message}\n"))

    def format_help(self) -> str:
        """As argparse's, with commands as they can be typed."""
        return as_called(super().format_help())

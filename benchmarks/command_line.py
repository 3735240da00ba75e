"""Command line that reports errors on one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from outliers_bench.runtime.invocation import with_current_python


class Parser(argparse.ArgumentParser):
    """`ArgumentParser` that does not print the usage before an error."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with code 2."""
        self.exit(2, with_current_python(f"{self.prog}: {message}\n"))

    def format_help(self) -> str:
        """Format the help with commands as they can be typed here."""
        return with_current_python(super().format_help())

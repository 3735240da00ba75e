"""A command line that tells a mistake in one line."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """As argparse's, without the usage before every error."""

    def error(self, message: str) -> NoReturn:
        """Tell what is wrong and end with code 2."""
        self.exit(2, f"{self.prog}: {message}\n")

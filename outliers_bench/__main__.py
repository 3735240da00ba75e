"""`python -m outliers_bench`: begin what takes longest, then read the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from outliers_bench.tracking import recorder

_FLAGS_OF_RUNS = ("-m", "--multirun", "--config-dir", "-cd")


def main() -> None:
    """Run what the command line asks for."""
    if _asks_for_runs(sys.argv[1:]):
        recorder.begin()
    # Importing Hydra takes half a second, which the recorder uses.
    from outliers_bench import cli

    cli.main()


def _asks_for_runs(arguments: Sequence[str]) -> bool:
    """Whether there is something to record; other flags print something and end."""
    flags = (argument.partition("=")[0] for argument in arguments if argument.startswith("-"))
    return all(flag in _FLAGS_OF_RUNS for flag in flags)


if __name__ == "__main__":
    main()

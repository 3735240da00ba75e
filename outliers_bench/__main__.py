"""`python -m outliers_bench`: start the sender, then read the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from outliers_bench.runtime.output import guarded_output

_INTERRUPTED = (129, 130, 143)  # by SIGHUP, SIGINT, SIGTERM
_FLAGS_OF_RUNS = ("-m", "--multirun", "--config-dir", "-cd")


def main() -> None:
    """Run the command line."""
    try:
        with guarded_output():
            _main()
    except SystemExit as end:
        if end.code in _INTERRUPTED:
            # Threads of TensorFlow cannot be unwound: "FATAL: exception not rethrown".
            os._exit(int(end.code))
        raise


def _main() -> None:
    words = sys.argv[1:]
    if words and words[0].isalpha():
        from outliers_bench.cli.commands import run_command

        sys.exit(run_command(words[0], words[1:]))
    if _requests_runs(words):
        from outliers_bench.tracking.sender_process import start_sender

        start_sender()
    # Importing Hydra takes half a second, in which the sender starts.
    from outliers_bench.cli import main as cli

    cli.main()


def _requests_runs(arguments: Sequence[str]) -> bool:
    """Check whether there are runs to record; other flags print something and exit."""
    flags = (argument.partition("=")[0] for argument in arguments if argument.startswith("-"))
    return all(flag in _FLAGS_OF_RUNS for flag in flags)


if __name__ == "__main__":
    main()

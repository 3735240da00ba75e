"""The other end of `apart.call`: `python -m benchmarks.speed.child <module> <JSON>`."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Call `measured` of the module and print what it returns as the last line."""
    work, told = sys.argv[1:]
    found = importlib.import_module(f"benchmarks.speed.{work}").measured(**json.loads(told))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

"""Child process of `child_process.call`: `python -m benchmarks.speed.child_main MODULE JSON`."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Call `measure_in_child` of the module and print its result as the last line."""
    name, arguments = sys.argv[1:]
    module = importlib.import_module(f"benchmarks.speed.{name}")
    print(json.dumps(module.measure_in_child(**json.loads(arguments))), flush=True)


if __name__ == "__main__":
    main()

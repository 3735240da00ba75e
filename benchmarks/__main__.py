"""How fast it is, beside other ways and beside what the machine can do at all.

python -m benchmarks --photos photos --only embedding,search
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import facts
from benchmarks.report import terminal
from benchmarks.speed.goals import goals
from benchmarks.speed.photos import default_photos, gather, in_class_folders, jpegs
from benchmarks.speed.setting import Setting, say

SECTIONS = ("embedding", "economy", "search", "pca", "startup", "memory")
PHOTOS, QUICK_PHOTOS = 1_000, 60
PACKAGES = (
    *("outliers-bench", "numpy", "scipy", "scikit-learn", "faiss-cpu"),
    *("opencv-contrib-python-headless", "openvino", "tensorflow", "keras", "torch", "mlflow"),
)


def options(words: list[str] | None = None) -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=_first_line())
    parser.add_argument("--photos", type=Path, help="JPEGs, in class folders; none: drawn ones")
    parser.add_argument("--repeats", type=int, default=3, help="of what does not take too long")
    parser.add_argument(
        "--only",
        type=lambda names: names.split(","),
        default=list(SECTIONS),
        metavar="SECTIONS",
        help=f"some of {','.join(SECTIONS)}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="see that it works: the figures mean nothing"
    )
    parser.add_argument(
        "--torch",
        default="",
        metavar="FOLDER",
        help="where `pip install --target FOLDER torch transformers` has put them",
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/speed.json")
    given = parser.parse_args(words)
    if unknown := [name for name in given.only if name not in SECTIONS]:
        parser.error(f"--only {','.join(unknown)}: there are {','.join(SECTIONS)}")
    if given.repeats < 1:
        parser.error(f"--repeats {given.repeats}: 1 or more")
    if given.photos is not None and not given.photos.is_dir():
        parser.error(f"--photos {given.photos}: there is no such folder")
    if given.quick:
        given.repeats = 1
    return given


def measured(given: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run the sections in a folder of their own; what they found, by section."""
    source = given.photos or (None if given.quick else default_photos())
    photos = gather(source, QUICK_PHOTOS if given.quick else PHOTOS, work / "photos")
    root = source if source and not given.quick and in_class_folders(source) else work / "photos"
    setting = Setting(
        work=work,
        photos=photos,
        root=root.absolute(),
        root_photos=len(jpegs(root)),
        repeats=given.repeats,
        quick=given.quick,
        torch=given.torch and str(Path(given.torch).absolute()),
    )
    say(f"{len(photos):,} photos of {source.name if source else '300 x 200 pixels, drawn'}")
    found = {}
    for name in SECTIONS:
        if name in given.only:
            start = time.perf_counter()
            found[name] = importlib.import_module(f"benchmarks.speed.{name}").measure(setting)
            found[name]["took_seconds"] = time.perf_counter() - start
    return found


def main() -> None:
    """Measure, tell, and write the JSON."""
    given = options()
    # A kill must end the children as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine = facts(*PACKAGES)
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="speed-", ignore_cleanup_errors=True) as folder:
            found = measured(given, Path(folder).resolve())
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing is left running, and nothing was written")
    results = {
        "machine": {**machine, "load_after": os.getloadavg()},
        "options": {"repeats": given.repeats, "quick": given.quick, "only": given.only},
        "took_seconds": time.perf_counter() - start,
        "results": found,
        "goals": [goal.as_dict() for goal in goals(found)],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=2) + "\n")
    say(f"\n{terminal(results)}\nwritten: {given.out}")


def _first_line() -> str:
    return (__doc__ or "").splitlines()[0]


if __name__ == "__main__":
    main()

"""How fast it is, beside other ways and beside what the machine can do at all.

python -m benchmarks --photos photos --only embedding,search
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.machine import facts
from benchmarks.options import ECONOMY_PHOTOS, PHOTOS, QUICK_PHOTOS, SECTIONS, options
from benchmarks.record import Record
from benchmarks.report import terminal
from benchmarks.speed.photos import every, gather, in_class_folders, jpegs
from benchmarks.speed.setting import Setting, say

PACKAGES = (
    *("outliers-bench", "numpy", "scipy", "scikit-learn", "faiss-cpu"),
    *("opencv-contrib-python-headless", "openvino", "tensorflow", "keras", "mlflow"),
)


def prepared(given: argparse.Namespace, work: Path) -> Setting:
    """Gather the photos in the folder where everything is written."""
    source = given.photos
    count = QUICK_PHOTOS if given.quick else PHOTOS
    photos = gather(jpegs(source) if source else [], count, work / "photos")
    root, whole = work / "photos", photos
    if source and not given.quick:
        root, whole = source, every(source)
        if len(whole) > ECONOMY_PHOTOS or not in_class_folders(whole, source):
            root = work / "economy-photos"
            whole = gather(whole, ECONOMY_PHOTOS, root)
    say(f"{len(photos):,} photos of {source.name if source else '300 x 200 pixels, drawn'}")
    return Setting(
        work=work,
        photos=photos,
        root=root,
        root_photos=len(whole),
        repeats=given.repeats,
        quick=given.quick,
        torch=given.torch,
    )


def section(name: str, setting: Setting) -> dict[str, Any]:
    """What a section finds; why it failed, if it did, so that the others go on."""
    start = time.perf_counter()
    try:
        found = importlib.import_module(f"benchmarks.speed.{name}").measure(setting)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = " ".join(f"{type(error).__name__}: {error}".split())
        found = {"failed": f"{why} ({Path(place.filename).name}:{place.lineno})"}
        say(f"{name} failed: {found['failed']}")
    return {**found, "took_seconds": time.perf_counter() - start}


def main() -> None:
    """Measure, write the JSON after each section, and tell."""
    given = options()
    # A kill must end the children as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine = facts(*PACKAGES)
    record = Record(
        given.out,
        machine=machine,
        options={
            "repeats": given.repeats,
            "quick": given.quick,
            "photos": given.photos and str(given.photos),
            "torch": given.torch,
        },
        order=SECTIONS,
        merge=set(given.only) != set(SECTIONS),
    )
    if record.starts:
        say(record.starts)
    try:
        with tempfile.TemporaryDirectory(prefix="speed-", ignore_cleanup_errors=True) as folder:
            setting = prepared(given, Path(folder).resolve())
            for name in dict.fromkeys(given.only):
                record.add(name, section(name, setting) | {"load": machine["load"]})
    except KeyboardInterrupt:
        kept = f"{', '.join(record.new)}: in {given.out}" if record.new else "nothing was written"
        print(f"interrupted; nothing is left running; {kept}", file=sys.stderr)
        sys.exit(130)
    say(f"\n{terminal(record.results)}\nwritten: {given.out}")
    if any(record.results["results"][name].get("failed") for name in given.only):
        sys.exit(1)


if __name__ == "__main__":
    main()

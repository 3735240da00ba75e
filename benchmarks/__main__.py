"""Speed of this project, compared with other implementations and with the machine's limit.

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

from benchmarks.machine import machine_info
from benchmarks.options import PHOTOS, QUICK_PHOTOS, SECTIONS, SWEEP_PHOTOS, parse_options
from benchmarks.report import terminal
from benchmarks.results_file import ResultsFile
from benchmarks.speed.photos import has_class_folders, link_photos, list_all, list_jpegs
from benchmarks.speed.settings import Settings, log

PACKAGES = (
    *("outliers-bench", "numpy", "scipy", "scikit-learn", "faiss-cpu"),
    *("opencv-contrib-python-headless", "openvino", "tensorflow", "keras", "mlflow"),
)


def prepare(options: argparse.Namespace, work: Path) -> Settings:
    """Link the photos into the working folder."""
    source = options.photos
    count = QUICK_PHOTOS if options.quick else PHOTOS
    photos = link_photos(list_jpegs(source) if source else [], count, work / "photos")
    root, root_photos = work / "photos", photos
    if source and not options.quick:
        root, root_photos = source, list_all(source)
        if len(root_photos) > SWEEP_PHOTOS or not has_class_folders(root_photos, source):
            root = work / "sweep-photos"
            root_photos = link_photos(root_photos, SWEEP_PHOTOS, root)
    log(f"{len(photos):,} photos of {source.name if source else '300 x 200 pixels, generated'}")
    return Settings(
        work=work,
        photos=photos,
        root=root,
        root_photos=len(root_photos),
        repeats=options.repeats,
        quick=options.quick,
        torch=options.torch,
    )


def run_section(name: str, settings: Settings) -> dict[str, Any]:
    """Measure a section; return its result, or the reason why it failed."""
    start = time.perf_counter()
    try:
        result = importlib.import_module(f"benchmarks.speed.{name}").measure(settings)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        message = " ".join(f"{type(error).__name__}: {error}".split())
        result = {"failed": f"{message} ({Path(frame.filename).name}:{frame.lineno})"}
        log(f"{name} failed: {result['failed']}")
    return {**result, "took_seconds": time.perf_counter() - start}


def main() -> None:
    """Measure, write the JSON after each section, and print the tables."""
    options = parse_options()
    # SIGTERM must end the child processes, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine = machine_info(*PACKAGES)
    file = ResultsFile(
        options.out,
        machine=machine,
        options={
            "repeats": options.repeats,
            "quick": options.quick,
            "photos": options.photos and str(options.photos),
            "torch": options.torch,
        },
        order=SECTIONS,
        merge=set(options.only) != set(SECTIONS),
    )
    if file.backup_message:
        log(file.backup_message)
    try:
        with tempfile.TemporaryDirectory(prefix="speed-", ignore_cleanup_errors=True) as folder:
            settings = prepare(options, Path(folder).resolve())
            for name in dict.fromkeys(options.only):
                file.add(name, run_section(name, settings) | {"load": machine["load"]})
    except KeyboardInterrupt:
        saved = "nothing was written"
        if file.added:
            saved = f"{', '.join(file.added)} saved in {options.out}"
        print(f"interrupted; no process is left running; {saved}", file=sys.stderr)
        sys.exit(130)
    log(f"\n{terminal(file.results)}\nwritten: {options.out}")
    if any(file.results["results"][name].get("failed") for name in options.only):
        sys.exit(1)


if __name__ == "__main__":
    main()

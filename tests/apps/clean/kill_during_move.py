"""Script that moves photos and kills itself during the second move; used by test_quarantine."""

import os
import signal
import sys
from pathlib import Path

from outliers_bench.apps.clean import move as moving
from outliers_bench.apps.clean import quarantine
from tests.apps.clean.photo_trees import (
    NAMES,
    raise_cross_device,
    rename_within_folder,
    tiny_photos,
)


def kill_at_second_call(function, before):
    """Wrap a function: the second call runs `before` and kills the process."""
    calls = [0]

    def wrapper(*args, **options):
        calls[0] += 1
        if calls[0] == 2:
            before(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)

    return wrapper


def copy_partially(source, target):
    target.write_bytes(source.read_bytes()[:50])


if __name__ == "__main__":
    folder, point, action = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if point in ("copied", "half"):
        Path.hardlink_to, Path.rename = raise_cross_device, rename_within_folder
    if point == "recorded":
        quarantine.move = kill_at_second_call(quarantine.move, lambda *_: None)
    elif point == "half":
        moving.shutil.copy2 = kill_at_second_call(moving.shutil.copy2, copy_partially)
    else:  # linked or copied: the file is at both paths
        moving._remove_source = kill_at_second_call(moving._remove_source, lambda *_: None)
    photos = quarantine.Quarantine(folder / "photos", folder / "quarantine")
    if action == "undo":
        photos.restore()
    else:
        photos.add(tiny_photos(*NAMES[1:]))

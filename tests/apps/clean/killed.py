"""Moves photos and is killed at a chosen point of the second move; used by test_quarantine."""

import os
import signal
import sys
from pathlib import Path

from outliers_bench.apps.clean import move as moving
from outliers_bench.apps.clean import quarantine
from tests.apps.clean.trees import NAMES, crossing_disks, renames_beside, why


def at_second(real, die):
    """What is called instead: the real thing, and the second time what dies."""
    calls = [0]

    def called(*args, **options):
        calls[0] += 1
        if calls[0] == 2:
            die(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)

    return called


def half(source, target):
    target.write_bytes(source.read_bytes()[:50])


if __name__ == "__main__":
    desk, point, what = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if point in ("copied", "half"):
        Path.hardlink_to, Path.rename = crossing_disks, renames_beside
    if point == "announced":
        quarantine.move = at_second(quarantine.move, lambda *_: None)
    elif point == "half":
        moving.shutil.copy2 = at_second(moving.shutil.copy2, half)
    else:  # linked or copied: the file is at both places
        moving._forget = at_second(moving._forget, lambda *_: None)
    aside = quarantine.Quarantine(desk / "photos", desk / "aside")
    if what == "undo":
        aside.give_back()
    else:
        aside.take(why(*NAMES[1:]))

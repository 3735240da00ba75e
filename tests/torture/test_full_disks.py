"""A full disk at eight places: the score is shown and delivered, or one line comes before it."""

import os
import re
import shutil
import subprocess

import pytest

from tests.command_line import bench
from tests.recorded_runs import SMALL
from tests.torture.kills import rows_of

pytestmark = pytest.mark.slow

PIXELS = (*SMALL, "model=pixels", "contact_sheets.queries=1", "k=[1,5]")
RUN_LINE = re.compile(r"^MAP@R .*\d\.\d{3}", re.MULTILINE)


PLACES = {
    "features": "cache/features",
    "whole cache": "cache",
    "outbox": "cache/outbox",
    "working directory": "work",
    "outputs": "work/outputs",
    "mlflow.db": "store",
    "artifacts": "work/mlartifacts",
    "TMPDIR": "tmp",
}


@pytest.fixture
def full_disk(tmp_path):
    """Return a function that fills a place, a small file system; skip where none can be mounted."""
    mounted = []

    def mount(place):
        folder = tmp_path / place
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
            pytest.skip("needs the right to mount a file system")
        mounted.append(folder)
        with (folder / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(os.name != "posix", reason="file systems are mounted")
@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk(tmp_path, full_disk, place):
    """Once there is space again, everything is delivered."""
    for name in ("work", "store", "tmp"):
        (tmp_path / name).mkdir()
    folder = full_disk(PLACES[place])
    env = {"OUTLIERS_BENCH_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path / "tmp")}
    words = list(PIXELS)
    if place == "mlflow.db":
        words.append(f"tracking.uri=sqlite:///{tmp_path}/store/mlflow.db")
    done = bench(*words, cwd=tmp_path / "work", **env)
    assert "Traceback" not in done.err + done.out, done.err
    # What has no place for features or the outbox cannot start.
    shown = RUN_LINE.search(done.out)
    assert shown or place in ("features", "whole cache", "outbox")
    assert shown or re.fullmatch("error: .*(No space|disk is full).*\n", done.err), done.err
    (folder / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
    if not shown:
        assert done.code == 2
        done = bench(*words, cwd=tmp_path / "work", **env)
        assert RUN_LINE.search(done.out)
    while (
        "another sender"
        in (
            sent := bench(cwd=tmp_path / "work", module="outliers_bench.tracking.sender", **env)
        ).out
    ):
        pass
    assert (sent.code, sent.err) == (0, "")
    store = tmp_path / ("store" if place == "mlflow.db" else "work")
    with rows_of(store / "mlflow.db") as query:
        assert ("FINISHED",) in query("SELECT status FROM runs")
        assert not query("SELECT 1 FROM runs WHERE status = 'RUNNING'")

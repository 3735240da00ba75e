"""Ctrl-C while a photo is being decoded that takes many seconds."""

import os
import signal
import subprocess
import sys
import time
import zlib

import psutil
import pytest
from PIL import Image

from tests.data.formats.tiff_files import LONG, SHORT, by_hand, plain

SIDE = 8000  # of three floats of 64 bits per pixel, which take more than 10 s


@pytest.mark.slow
def test_an_interruption_does_not_wait_for_a_decoder(tmp_path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (64, 64)).save(photos / "a.png")
    coder = zlib.compressobj(1)
    strip = b"".join(coder.compress(bytes(SIDE * 24)) for _ in range(SIDE)) + coder.flush()
    tags = plain(SIDE, SIDE, bits=(64,) * 3, photometric=2)
    tags |= {259: (SHORT, [8]), 339: (SHORT, [3] * 3), 279: (LONG, [len(strip)])}
    (photos / "b.tif").write_bytes(by_hand(strip, tags))
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench.clean", f"root={photos}"],
        env={**os.environ, "OUTLIERS_BENCH_CACHE": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    memory = psutil.Process(process.pid).memory_info
    while process.poll() is None and memory().rss < 2**30:  # until the photo is being decoded
        time.sleep(0.05)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - start < 1
    assert process.returncode == 130
    assert output.splitlines()[-1] == "interrupted; the same command continues from there"

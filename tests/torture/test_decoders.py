"""Decoders under 2,000 mutated images of all formats: no crash, no hang, one line for each.

`python -m tests.torture.test_decoders [seed] [count]` prints the totals.
"""

import io
import json
import random
import resource
import struct
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from outliers_bench.data.decode import decode
from outliers_bench.errors import UnreadableImageError
from tests.data.encoded_images import save, textured

pytestmark = [pytest.mark.slow, pytest.mark.extra("formats")]

COUNT = 2000
MOST_SECONDS, MOST_MEMORY = 30, 2**32
EXTREMES = (b"\0\0", b"\xff\xff", b"\x7f\xff", b"\xff\x7f", b"\0\0\0\0", b"\xff" * 4, b"\x80\0\0\0")
EXTREMES += (struct.pack(">II", 11_500, 11_500), struct.pack("<II", 11_500, 11_500))


def encoded() -> dict[str, bytes]:
    """Return a picture in every format of docs/formats.md, by real encoders."""
    import imagecodecs
    import pillow_heif

    image = Image.fromarray(textured())
    rgba, rgb = image.convert("RGBA"), np.asarray(image)
    rgba.putalpha(image.convert("L"))
    deep = rgb.astype(np.uint16) * 257
    heif = io.BytesIO()
    pillow_heif.from_pillow(image).save(heif)
    frames = {"save_all": True, "append_images": [image.rotate(90)] * 3}
    files = {
        "JPEG": save(image, "JPEG", exif=image.getexif()),
        "JPEG, progressive": save(image, "JPEG", progressive=True, icc_profile=bytes(3000)),
        "JPEG, CMYK": save(image.convert("CMYK"), "JPEG", progressive=True),
        "JPEG, restart markers": save(image, "JPEG", restart_marker_blocks=4),
        "PNG": save(image, "PNG", exif=image.getexif()),
        "PNG, alpha": save(rgba, "PNG"),
        "PNG, palette": save(image.convert("P"), "PNG", transparency=3),
        "PNG, animated": save(image, "PNG", **frames),
        "PNG, 16 bits": imagecodecs.png_encode(deep),
        "WebP": save(image, "WEBP"),
        "WebP, lossless": save(rgba, "WEBP", lossless=True, exif=image.getexif()),
        "WebP, animated": save(image, "WEBP", **frames),
        "GIF": save(image.convert("P"), "GIF", **frames),
        "BMP": save(image, "BMP"),
        "AVIF": save(rgba, "AVIF"),
        "HEIF": heif.getvalue(),
        "JPEG XL": imagecodecs.jpegxl_encode(rgb, effort=1),
        "JPEG XL, container": imagecodecs.jpegxl_encode(deep, effort=1, usecontainer=True),
        "JPEG 2000": save(image, "JPEG2000"),
        "JPEG 2000, tiles": save(image, "JPEG2000", tile_size=(64, 64), no_jp2=True),
        "PGM": save(image.convert("L"), "PPM"),
        "PPM": save(image, "PPM"),
        "PPM, text": b"P3 160 120 255\n" + " ".join(map(str, rgb.ravel())).encode(),
        "PAM": b"P7\nWIDTH 160\nHEIGHT 120\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + rgb.tobytes(),
        "PFM": b"PF 160 120 -1\n" + rgb.astype("<f4").tobytes(),
        "PCX": save(image, "PCX"),
        "QOI": imagecodecs.qoi_encode(rgb),
        "SGI": save(image, "SGI"),
        "Photoshop": struct.pack(">4sH6xHIIHHIIIH", b"8BPS", 1, 3, 120, 160, 8, 3, 0, 0, 0, 0)
        + rgb.transpose(2, 0, 1).tobytes(),
    }
    for kind in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        files[f"TIFF, {kind}"] = save(image, "TIFF", compression=kind)
    files["TIFF, fax"] = save(image.convert("1"), "TIFF", compression="group4")
    files["TIFF, alpha"] = save(rgba, "TIFF", compression="tiff_deflate")
    return files


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return a file cut, with bits flipped, blocks swapped, or fields of the header at extremes."""
    file = bytearray(data)
    kind = rng.randrange(6)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        for _ in range(rng.choice([1, 1, 4, 30])):
            file[rng.randrange(len(file))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        size = rng.choice([4, 64, 512])
        one, other = (rng.randrange(max(1, len(file) - size)) for _ in range(2))
        file[one : one + size], file[other : other + size] = (
            file[other : other + size],
            file[one : one + size],
        )
    elif kind == 3:
        at, size = rng.randrange(len(file)), rng.choice([16, 256, 100_000])
        file[at:at] = rng.choice([b"\0", b"\xff", data[at : at + 16]]) * size
    else:  # fields of the header; a TIFF has its own at the end
        near = min(600, len(file))
        at = rng.randrange(near) if rng.random() < 0.8 else len(file) - rng.randrange(1, near)
        value = rng.choice(EXTREMES)
        file[at : at + len(value)] = value
    return bytes(file)


def attack(seed: int, count: int) -> dict[str, object]:
    """Decode mutants; what is neither decoded nor refused in one line is in `wrong`."""
    totals, rng = Counter(), random.Random(seed)
    slowest, wrong = (0.0, ""), []
    files = list(encoded().items())
    for _, data in files:
        decode(data, name="a")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        kind, data = files[number % len(files)]
        name = f"{kind} of mutant {number}"
        print(name, file=sys.stderr, flush=True)  # the last one, after a crash
        start = time.process_time()
        try:
            decode(mutate(data, rng), name="a")
            totals["decoded"] += 1
        except UnreadableImageError as error:
            totals["refused"] += 1
            if "\n" in str(error):
                wrong.append(f"{name}: {error}")
        except Exception as error:
            wrong.append(f"{name}: {error!r}")
        slowest = max(slowest, (time.process_time() - start, name))
    memory = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return {**totals, "slowest": slowest, "memory": memory, "wrong": wrong}


def test_mutants_are_decoded_or_refused_in_bounded_time_and_memory() -> None:
    words = [sys.executable, "-m", "tests.torture.test_decoders", "1", str(COUNT)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr.splitlines()[-1:]
    totals = json.loads(done.stdout)
    assert not totals["wrong"]
    assert totals["decoded"] + totals["refused"] == COUNT
    assert min(totals["decoded"], totals["refused"]) > COUNT / 10
    assert totals["slowest"][0] < MOST_SECONDS
    assert totals["memory"] < MOST_MEMORY


if __name__ == "__main__":
    print(json.dumps(attack(*map(int, (sys.argv[1:] or ["1", str(COUNT)])))))

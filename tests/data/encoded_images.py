"""Images in all supported formats, encoded by PIL or by hand."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from outliers_bench.data.decode import decode

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(height=32, width=48):
    """Red at the top, green and blue below; all eight orientations are different."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2] = RED
    image[height // 2 :, : width // 2] = GREEN
    image[height // 2 :, width // 2 :] = BLUE
    return image


def save(image, kind, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_alpha(alpha):
    """`quarters` with the given alpha (0 to 255) in the top left corner."""
    image = np.dstack([quarters(), np.full((32, 48), 255, np.uint8)])
    image[:8, :8, 3] = alpha
    return image


def over_white(alpha):
    expected = quarters()
    # Red over white: the red channel is constant, the others fade in.
    expected[:8, :8] = (255, 255 - alpha, 255 - alpha)
    return expected


def gray(image):
    return np.asarray(Image.fromarray(image).convert("L"))


def png(width, height, bits, color, samples, extra=b"", *, end=True):
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
        + extra
        + chunk(b"IDAT", zlib.compress(samples))
        + (chunk(b"IEND", b"") if end else b"")
    )


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def rows(samples):
    """PNG scan lines: a filter byte, then big-endian samples."""
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)


STORED = {
    # orientation: pixels stored by the camera for an upright photo, derived by hand from
    # "row 0 is the visual ..., column 0 is the visual ..." in the EXIF standard.
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.swapaxes(0, 1),  # left, top
    6: lambda a: a[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda a: a[::-1].swapaxes(0, 1),  # left, bottom
}


def textured(seed=0):
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 255, (30, 40, 3), dtype=np.uint8))
    return np.asarray(small.resize((160, 120)))


def grainy(width, height, *, grain=4.0, seed=0):
    """Image with shapes, edges, and grain of several sizes, like that of a camera sensor."""
    import cv2

    random = np.random.default_rng(seed)
    shapes = random.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    picture = cv2.resize(shapes, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(8):
        corner, other = random.integers(0, (width, height), (2, 2)).tolist()
        color = random.integers(0, 255, 3).tolist()
        cv2.rectangle(picture, corner, other, color, thickness=max(2, height // 40))
    noise = np.zeros((height, width, 3), np.float32)
    for octave in (1, 2, 4, 8):
        rough = random.standard_normal((height // octave, width // octave, 3), dtype=np.float32)
        noise += cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(picture + grain / 2 * noise, 0, 255).astype(np.uint8)


def assert_close(data, expected, tolerance=0):
    image = decode(data, name="photo")
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - expected).max() <= tolerance

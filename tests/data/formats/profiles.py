"""ICC profiles by hand, after ICC.1:2001-04: matrices and curves, gray, and a table for CMYK."""

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
# Columns: XYZ of red, green and blue, adapted to D50 (the profiles' publishers).
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
ADOBE_RGB = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)
DISPLAY_P3 = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
PROPHOTO = np.array([[0.79767, 0.13519, 0.03135], [0.28804, 0.71188, 0.00009], [0.0, 0.0, 0.82510]])


def profile(space, tags, connection=b"XYZ ", device=b"mntr"):
    """A profile of a color space, 4 bytes, from its tags."""
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": xyz(D50),
        **tags,
    }
    at = 128 + 4 + 12 * len(tags)
    table, bodies = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        body = content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(bodies), len(body))
        bodies += body
    header = struct.pack(
        ">I4sI4s4s4s", at + len(bodies), b"lcms", 0x02400000, device, space, connection
    )
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += b"".join(struct.pack(">i", round(65536 * value)) for value in D50)
    return header.ljust(128, b"\0") + table + bodies


def xyz(values):
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(65536 * v)) for v in values)


def gamma(value):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * value))


def srgb_curve():
    values = np.rint(65535 * to_linear(np.linspace(0, 1, 1024))).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", 1024) + values.tobytes()


def rgb_profile(matrix, curve):
    primaries = {
        name: xyz(column)
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True)
    }
    return profile(b"RGB ", primaries | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def gray_profile(curve):
    return profile(b"GRAY", {b"kTRC": curve})


def cmyk_profile():
    """Inks that mix so: L* = 100 (1 - k) (1 - c/2), a* = 60 (m - c), b* = 60 (y - m)."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), -1).reshape(-1, 4)
    c, m, y, k = corners.T
    lab = np.stack([255 * (1 - k) * (1 - c / 2), 128 + 60 * (m - c), 128 + 60 * (y - m)], 1)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table += b"".join(struct.pack(">i", v) for v in (65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    table += bytes(range(256)) * 4 + np.rint(lab).astype(np.uint8).tobytes() + bytes(range(256)) * 3
    return profile(b"CMYK", {b"A2B0": table, b"A2B1": table}, b"Lab ", b"prtr")


def to_linear(srgb):
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def expected(pixels, matrix, linear):
    """sRGB of pixels in another color space, computed in floating point."""
    color = linear(pixels / 255) @ matrix.T @ np.linalg.inv(SRGB).T
    return 255 * to_srgb(color)

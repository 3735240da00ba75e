"""Photos with times in their EXIF data, for tests."""

from PIL import Image


def exif(taken=None, *, fraction=None, changed=None, digitized=None):
    """EXIF data with DateTimeOriginal, SubSecTimeOriginal, DateTime, and DateTimeDigitized."""
    data = Image.Exif()
    if changed:
        data[0x0132] = changed
    own = {0x9003: taken, 0x9291: fraction, 0x9004: digitized}
    data.get_ifd(0x8769).update({tag: text for tag, text in own.items() if text})
    return data.tobytes()


def with_exif(jpeg, data):
    """Insert EXIF data into a JPEG, whose pixels stay as they are."""
    size = (len(data) + 2).to_bytes(2, "big")
    return jpeg[:2] + b"\xff\xe1" + size + data + jpeg[2:]

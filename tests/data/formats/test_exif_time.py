"""DateTimeOriginal of photos in several formats, without decoding them."""

import pytest
from PIL import Image

from outliers_bench.data.formats.exif_time import read_exif_time
from tests.data.exif_photos import exif, with_exif

TAKEN = "2023:06:01 12:30:05"
FORMATS = ["jpg", "tiff", "png", "webp", "avif"]


def save(path, data=b"", side=8):
    Image.new("RGB", (side, side), "green").save(path, **({"exif": data} if data else {}))
    return path


@pytest.mark.parametrize("ending", FORMATS)
def test_formats(ending, tmp_path):
    photo = save(tmp_path / f"1.{ending}", exif(TAKEN, fraction="25"))
    assert read_exif_time(photo) == f"{TAKEN}.25"
    assert read_exif_time(save(tmp_path / f"2.{ending}")) == ""


@pytest.mark.extra("formats")
def test_heic(tmp_path):
    import pillow_heif

    image = pillow_heif.from_pillow(Image.new("RGB", (64, 64)))
    image.save(tmp_path / "1.heic", exif=exif(TAKEN))
    assert read_exif_time(tmp_path / "1.heic") == TAKEN
    image.save(tmp_path / "2.heic")
    assert read_exif_time(tmp_path / "2.heic") == ""


def test_only_the_time_of_the_photo_counts(tmp_path):
    """Neither that of the last change, nor that of the scan of a slide."""
    other = save(tmp_path / "1.jpg", exif(changed=TAKEN, digitized=TAKEN))
    assert read_exif_time(other) == ""
    assert read_exif_time(save(tmp_path / "2.gif")) == ""
    (tmp_path / "3.jpg").write_text("no image")
    assert read_exif_time(tmp_path / "3.jpg") == ""


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_data_are_no_time(tmp_path):
    """Every cut of a file, and every byte of its EXIF data changed."""
    data = exif(TAKEN)
    jpeg = with_exif(save(tmp_path / "1.jpg").read_bytes(), data)
    file = tmp_path / "2.jpg"
    damaged = [jpeg[:at] for at in range(0, len(jpeg), 7)]
    damaged += [jpeg[:at] + b"\xff" + jpeg[at + 1 :] for at in range(2, len(data) + 6)]
    for content in damaged:
        file.write_bytes(content)
        assert isinstance(read_exif_time(file), str)


def test_large_pictures_are_not_refused(tmp_path):
    """Pillow warns above 89 megapixels and refuses above 179."""
    data = exif(TAKEN)
    jpeg = bytearray(with_exif(save(tmp_path / "1.jpg").read_bytes(), data))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = (60_000).to_bytes(2, "big") * 2
    (tmp_path / "2.jpg").write_bytes(jpeg)
    assert read_exif_time(tmp_path / "2.jpg") == TAKEN

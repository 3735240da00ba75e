"""Formats beyond the probes: damage, size limits, missing packages, imports."""

import subprocess
import sys

import numpy as np
import pytest

from outliers_bench.apps.collect.image_check import check_image
from outliers_bench.data import decode as decoding
from outliers_bench.data.decode import decode, read_header
from outliers_bench.data.formats.color import to_srgb
from outliers_bench.data.formats.kinds import DECODED, EXTRA, kind_of
from outliers_bench.data.formats.tiff_directory import read_page
from outliers_bench.data.listing import unsupported, walk
from outliers_bench.errors import (
    InaccessibleImageError,
    UnreadableImageError,
    UnsupportedImageError,
)
from tests.conftest import has
from tests.data.encoded_images import save, textured
from tests.data.formats import profiles
from tests.data.formats.table import PAGE, PROBES, page
from tests.data.formats.tiff_files import SHORT, by_hand, plain

# A lossless file of each kind; those of the extra need its packages.
FIRST = {probe.format: probe for probe in reversed(PROBES) if probe.group != "not decoded"}
KINDS = [
    pytest.param(kind, marks=[pytest.mark.extra(probe.extra)] if probe.extra else [])
    for kind, probe in FIRST.items()
]


def test_the_table_in_the_docs_is_of_these_probes():
    assert PAGE.read_text() == page(), "run python -m tests.data.formats.table"


def test_every_decoded_kind_has_a_decoder_and_probes():
    others = {"PNG", "WebP", "GIF", "BMP"}
    assert set(DECODED) | set(EXTRA) == set(decoding._DECODERS) | others == set(FIRST)


@pytest.mark.parametrize("kind", KINDS)
def test_kind_and_size_are_read_before_decoding(kind):
    sample = FIRST[kind].make()
    assert kind_of(sample.data[:512]) == kind
    header = read_header(sample.data)
    assert (header.format, {header.height, header.width}) == (kind, set(sample.expected.shape[:2]))
    with pytest.raises(UnreadableImageError, match=r"^photo: has \d+ x \d+ pixels, more than 100$"):
        decode(sample.data, name="photo", max_pixels=100)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_files_cut_short_are_damaged_in_one_line(kind, part, capfd):
    data = FIRST[kind].make().data
    with pytest.raises(UnreadableImageError, match=r"^photo: is a.* cut.short") as error:
        decode(data[: int(len(data) * part)], name="photo")
    assert not isinstance(error.value, UnsupportedImageError)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "kind",
    ["TIFF", "AVIF", "JPEG 2000", pytest.param("HEIF", marks=pytest.mark.extra("formats"))],
)
def test_color_profiles_become_srgb(kind):
    icc = profiles.rgb_profile(profiles.DISPLAY_P3, profiles.srgb_curve())
    image = np.ascontiguousarray(textured())
    if kind == "TIFF":
        plain, tagged = (save(image, "TIFF", **each) for each in ({}, {"icc_profile": icc}))
    elif kind == "JPEG 2000":
        plain = save(image, "JPEG2000")
        # The method of the color box: 1 is a number, 2 a profile.
        at = plain.index(b"colr") - 4
        box = (11 + len(icc)).to_bytes(4, "big") + b"colr\2\0\0" + icc
        size = int.from_bytes(plain[at:][:4], "big")
        tagged = plain[:at] + box + plain[at + size :]
        head = tagged.index(b"jp2h") - 4
        length = int.from_bytes(plain[head:][:4], "big") + len(box) - size
        tagged = tagged[:head] + length.to_bytes(4, "big") + tagged[head + 4 :]
    else:
        if kind == "HEIF":
            import pillow_heif

            pillow_heif.register_heif_opener()
        options = {"quality": 90}
        plain = save(image, kind, **options)
        tagged = save(image, kind, icc_profile=icc, **options)
    before = decode(plain, name="photo")
    after = decode(tagged, name="photo")
    np.testing.assert_array_equal(after, to_srgb(before, icc))
    assert np.abs(after.astype(int) - before).mean() > 3


@pytest.mark.parametrize("size", [(160, 120), (159, 119), (159, 1), (160, 1)])
@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_a_strip_that_ends_early_is_damage(compression, size):
    """OpenCV reads the rest of such a strip as black."""
    width, height = size
    image = np.ascontiguousarray(textured()[:height, :width])
    data = save(image, "TIFF", compression=compression)
    page = read_page(data)
    strip = data[page.offsets[0] : page.offsets[0] + page.counts[0]]
    tags = plain(width, height, bits=(8, 8, 8), photometric=2, t259=(SHORT, [page.compression]))
    np.testing.assert_array_equal(decode(by_hand(strip, tags), name="photo"), image)
    for part in (0.5, 0.97):
        damaged = by_hand(strip[: int(len(strip) * part)], tags)
        with pytest.raises(UnreadableImageError, match="is a damaged or cut-short TIFF"):
            decode(damaged, name="photo")


def test_checksums_of_deflate_are_compared():
    data = save(np.ascontiguousarray(textured()), "TIFF", compression="tiff_adobe_deflate")
    for at in range(100, len(data) - 500, len(data) // 20):
        damaged = data[:at] + bytes(30) + data[at + 30 :]
        with pytest.raises(UnreadableImageError, match="is a damaged or cut-short TIFF"):
            decode(damaged, name="photo")


@pytest.mark.parametrize(
    ("kind", "module", "data"),
    [
        ("HEIF", "pillow_heif", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1"),
        ("JPEG XL", "imagecodecs", b"\xff\x0a\xfa\x1f\x01\x90\x08\x06\x01\x00\x14\x00"),
    ],
)
def test_without_the_extra_a_kind_is_unsupported_with_the_command(kind, module, data, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnsupportedImageError, match=r"which needs python -m pip install ") as error:
        decode(data, name="photo.jpg")
    assert str(error.value).startswith(f"photo.jpg: is a {kind} image, ")
    # Not cached: the package may be installed later.
    assert isinstance(error.value, InaccessibleImageError)
    assert unsupported(kind).startswith(f"{kind} needs python -m pip install ")


def test_folders_list_what_can_be_decoded(tmp_path):
    for name, kind in (("b.jp2", "JPEG 2000"), ("c", "AVIF"), ("d.pgm", "PNM")):
        (tmp_path / name).write_bytes(FIRST[kind].make().data)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1")
    names, left_out = walk(tmp_path)
    both = sorted([*names, *(item.name for item in left_out)])
    assert both == ["a.heic", "b.jp2", "c", "d.pgm"]
    assert ("a.heic" in names) == has("formats")
    assert [item.kind for item in left_out] == ([] if has("formats") else ["unsupported"])


def test_collected_images_have_the_ending_of_their_format():
    checked = check_image(FIRST["JPEG 2000"].make().data, min_side=1, max_pixels=10**6)
    assert checked.extension == ".jp2"


def test_photos_of_the_web_import_no_other_decoder(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(save(textured(), "JPEG"))
    script = f"""
import sys
from outliers_bench.data.decode import decode
decode(open({str(path)!r}, "rb").read(), name="photo")
assert not {{"PIL", "imagecodecs", "pillow_heif", "tifffile"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

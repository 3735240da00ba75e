"""PNG: checksums, chunks that the pixels do not need, and color profiles of PNG and WebP."""

import numpy as np
import pytest
from PIL import Image

from outliers_bench.data.decode import decode
from outliers_bench.data.formats.color import to_srgb
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from tests.data.encoded_images import chunk, quarters, save, textured, with_alpha
from tests.data.formats import profiles

DISPLAY_P3 = profiles.rgb_profile(profiles.DISPLAY_P3, profiles.srgb_curve())


def with_chunk(data, new):
    """Insert a chunk after the header chunk."""
    return data[:33] + new + data[33:]


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"tRNS"])
def test_a_wrong_checksum_of_what_the_pixels_need_is_damage(kind):
    data = save(Image.fromarray(quarters()).quantize(8), "PNG", transparency=bytes(range(8)))
    decode(data, name="a")
    at = data.index(kind)
    end = at + 4 + int.from_bytes(data[at - 4 : at], "big")
    wrong = data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]
    with pytest.raises(UnreadableImageError, match=r"a: is a damaged PNG \(wrong checksum\)"):
        decode(wrong, name="a")


@pytest.mark.parametrize("checksum", [b"", b"\0\0\0\0"], ids=["right", "wrong"])
@pytest.mark.parametrize("kind", [b"tEXt", b"iCCP", b"zTXt", b"eXIf", b"gAMA"])
def test_damaged_texts_and_profiles_change_nothing(kind, checksum, capfd):
    data = save(textured(), "PNG")
    extra = chunk(kind, b"damaged\0\0 and more")
    odd = with_chunk(data, extra[:-4] + checksum if checksum else extra)
    np.testing.assert_array_equal(decode(odd, name="a"), textured())
    assert capfd.readouterr() == ("", "")


def test_stretched_gray_has_no_profile():
    ramp = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    plain = decode(save(Image.fromarray(ramp), "PNG"), name="a")
    icc = profiles.gray_profile(profiles.gamma(1.0))
    data = save(Image.fromarray(ramp), "PNG", icc_profile=icc)
    assert b"iCCP" in data
    np.testing.assert_array_equal(decode(data, name="a"), plain)


def test_an_unknown_chunk_that_the_pixels_depend_on_is_unsupported():
    """Apple's PNGs for iOS begin with it, and have their colors in another order."""
    data = with_chunk(save(textured(), "PNG"), chunk(b"CgBI", b"P\0 \2"))
    with pytest.raises(UnsupportedImageError, match=r"rare kind .*CgBI"):
        decode(data, name="a")


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_color_profiles(kind, options):
    data = save(textured(), kind, icc_profile=DISPLAY_P3, **options)
    converted = decode(data, name="a")
    np.testing.assert_array_equal(converted, to_srgb(textured(), DISPLAY_P3))
    assert np.abs(converted.astype(int) - textured()).max() > 10
    transparent = save(with_alpha(0), kind, icc_profile=DISPLAY_P3, **options)
    image = decode(transparent, name="a")
    assert (image[:8, :8] == 255).all()
    np.testing.assert_array_equal(image[8:], to_srgb(quarters(), DISPLAY_P3)[8:])


def test_pictures_of_iphone_apps_are_unsupported():
    data = save(textured(), "PNG")
    with pytest.raises(UnsupportedImageError, match="is a PNG for iPhone apps"):
        decode(data[:8] + chunk(b"CgBI", b"\x50\0\x20\x02") + data[8:], name="a")

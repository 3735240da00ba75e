"""Color profiles: converted to sRGB as computed by hand from their primaries and curves."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from outliers_bench.data.decode import decode
from outliers_bench.data.formats.color import cmyk_to_srgb, to_srgb
from tests.data.encoded_images import grainy, quarters, save
from tests.data.formats import profiles

PHOTO = grainy(96, 64, seed=5)
SPACES = {
    "Adobe RGB": (profiles.ADOBE_RGB, profiles.gamma(563 / 256), lambda v: v ** (563 / 256)),
    "Display P3": (profiles.DISPLAY_P3, profiles.srgb_curve(), profiles.to_linear),
    "ProPhoto": (profiles.PROPHOTO, profiles.gamma(1.8), lambda v: v ** (461 / 256)),
}


@pytest.mark.parametrize("space", SPACES)
def test_rgb_profiles(space):
    matrix, curve, linear = SPACES[space]
    converted = to_srgb(PHOTO, profiles.rgb_profile(matrix, curve))
    assert converted.dtype == np.uint8
    assert converted.flags.writeable
    difference = np.abs(converted - profiles.expected(PHOTO, matrix, linear))
    # Little CMS rounds linear values to 8 + 8 bits: dark values of a narrow curve lose most.
    assert np.percentile(difference, 99) < 1.5
    assert difference.max() < 5
    assert np.abs(converted.astype(int) - PHOTO).mean() > 3, "the profile changes something"


@pytest.mark.parametrize("side", [None, 30])
def test_jpeg_with_a_profile(side):
    icc = profiles.rgb_profile(*SPACES["Display P3"][:2])
    plain = decode(save(PHOTO, "JPEG", quality=95), name="a", side=side)
    data = save(PHOTO, "JPEG", quality=95, icc_profile=icc)
    np.testing.assert_array_equal(decode(data, name="a", side=side), to_srgb(plain, icc))


def test_a_profile_in_several_segments_of_a_jpeg():
    icc = profiles.rgb_profile(*SPACES["Adobe RGB"][:2]) + bytes(150_000)
    data = save(PHOTO, "JPEG", icc_profile=icc)
    assert data.count(b"ICC_PROFILE\0") == 3
    plain = decode(save(PHOTO, "JPEG"), name="a")
    np.testing.assert_array_equal(decode(data, name="a"), to_srgb(plain, icc))


def test_gray_profiles():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 8, 0)
    icc = profiles.gray_profile(profiles.gamma(1.0))
    pixels = np.repeat(ramp[..., None], 3, 2)
    expected = 255 * profiles.to_srgb(pixels / 255)
    assert np.abs(to_srgb(pixels, icc) - expected).max() < 1.5
    data = save(Image.fromarray(ramp), "JPEG", quality=100, icc_profile=icc)
    plain = decode(save(Image.fromarray(ramp), "JPEG", quality=100), name="a")
    np.testing.assert_array_equal(decode(data, name="a"), to_srgb(plain, icc))
    # A profile of gray says nothing about colors, and one of colors nothing about ink.
    assert to_srgb(PHOTO, icc) is PHOTO
    assert cmyk_to_srgb(np.zeros((1, 1, 4), np.uint8), icc) is None


def test_cmyk_jpeg_with_a_profile():
    ink = np.zeros((16, 32, 4), np.uint8)
    ink[:, 16:] = 0, 0, 0, 255
    icc = profiles.cmyk_profile()
    data = save(
        Image.frombytes("CMYK", (32, 16), ink.tobytes()), "JPEG", quality=100, icc_profile=icc
    )
    image = decode(data, name="a").astype(int)
    assert np.abs(image[:, :16] - 255).max() <= 2
    assert image[:, 16:].max() <= 3
    # L* = 50, a* = -60, b* = 0 in full cyan: a green blue, and no 0, 255, 255 as without profile.
    (cyan,) = cmyk_to_srgb(np.uint8([[[255, 0, 0, 0]]]), icc)[0].tolist()
    assert np.abs(np.array(cyan) - (0, 141, 119)).max() <= 12


@pytest.mark.parametrize(
    "icc",
    [
        b"",
        bytes(200),
        profiles.rgb_profile(profiles.SRGB, profiles.srgb_curve()),
        profiles.rgb_profile(profiles.ADOBE_RGB, profiles.gamma(2.2))[:200],
        profiles.profile(b"RGB ", {}),
        profiles.profile(b"Lab ", {}),
    ],
    ids=["none", "zeros", "sRGB", "cut short", "empty", "Lab"],
)
def test_pixels_stay_without_a_usable_profile_or_with_that_of_srgb(icc):
    assert to_srgb(PHOTO, icc) is PHOTO
    expected = decode(save(PHOTO, "JPEG"), name="a")
    data = save(PHOTO, "JPEG", icc_profile=icc) if icc else save(PHOTO, "JPEG")
    np.testing.assert_array_equal(decode(data, name="a"), expected)


def test_threads_share_a_conversion():
    icc = profiles.rgb_profile(*SPACES["Adobe RGB"][:2])
    photos = [grainy(64, 48, seed=seed) for seed in range(8)]
    once = [to_srgb(photo, icc) for photo in photos]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            again = pool.map(lambda photo: to_srgb(photo, icc), photos)
            assert all(map(np.array_equal, once, again))


def test_photos_without_profiles_do_not_import_pillow():
    script = f"""
import sys
from outliers_bench.data.decode import decode
decode({save(quarters(), "JPEG")!r}, name="a")
assert not {{"PIL", "imagecodecs", "pillow_heif"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

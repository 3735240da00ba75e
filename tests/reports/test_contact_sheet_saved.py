"""Contact sheets saved as JPEG files."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from outliers_bench.reports.contact_sheet import draw_contact_sheets
from outliers_bench.tracking.log_result import log_result
from tests.results import make_config, make_result, make_split


class FakeRun:
    """Active run whose box is one folder."""

    overrides = ()
    logged_pictures = ()

    def __init__(self, folder):
        start = SimpleNamespace(name="toy")
        self.box = SimpleNamespace(start=start, new_folder=lambda: folder)

    def log(self, *_, **__):
        pass


def test_saved_sheets_have_the_drawn_pixels(tmp_path):
    result, config = make_result(make_split()), make_config("nowhere")
    orange = np.full((32, 64, 3), (255, 128, 0), np.uint8)
    result = replace(result, match_sheets=lambda *_: {"own": orange})
    log_result(FakeRun(tmp_path), result, config)
    drawn = draw_contact_sheets(result, queries=2, depth=3, seed=config.seed)
    for name, sheet in {**drawn, "own": orange}.items():
        saved = np.asarray(Image.open(tmp_path / "pictures" / f"{name}.jpg"))
        assert saved.shape == sheet.shape
        assert np.abs(saved.astype(int) - sheet).mean() < 2


def test_a_sheet_too_large_for_a_jpeg_is_an_error(tmp_path):
    large = np.zeros((65_501, 2, 3), np.uint8)
    result = replace(make_result(make_split()), match_sheets=lambda *_: {"large": large})
    with pytest.raises(OSError, match=r"large\.jpg: 2 x 65,501"):
        log_result(FakeRun(tmp_path), result, make_config("nowhere"))

"""Contact sheets as files: in their own colors, and never an empty one."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from outliers_bench.reports.contact_sheet import contact_sheets
from outliers_bench.tracking.log_result import log_result
from tests.results import make_config, make_result, make_split


class Recording:
    """Keeps what would be recorded."""

    overrides = ()
    pictured = ()

    def confirm(self):
        return SimpleNamespace(name="toy", run_id="0" * 32)

    def note_last(self, *, artifacts, **_):
        self.folder = artifacts


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = tmp_path / "recorded"
    monkeypatch.setattr("tempfile.mkdtemp", lambda: made.mkdir() or str(made))
    return made


def test_saved_sheets_show_what_was_drawn(folder):
    result, config = make_result(make_split()), make_config("nowhere")
    orange = Image.new("RGB", (64, 32), (255, 128, 0))
    log_result(Recording(), result, config, more_sheets={"own": orange})
    drawn = contact_sheets(result, queries=2, depth=3, seed=config.seed)
    for name, sheet in {**drawn, "own": np.asarray(orange)}.items():
        saved = np.asarray(Image.open(folder / "pictures" / f"{name}.jpg"))
        assert saved.shape == sheet.shape
        assert np.abs(saved.astype(int) - sheet).mean() < 2


def test_a_sheet_too_large_for_a_jpeg_is_an_error(folder):
    large = Image.new("RGB", (2, 65_501))
    with pytest.raises(OSError, match=r"large\.jpg: 2 x 65,501"):
        log_result(
            Recording(),
            make_result(make_split()),
            make_config("nowhere"),
            more_sheets={"large": large},
        )
    assert not folder.exists()

"""Every probe of every format is decoded to the picture that was written."""

import numpy as np
import pytest

from outliers_bench.data.decode import decode
from outliers_bench.errors import UnsupportedImageError
from tests.data.formats.table import PROBES


@pytest.mark.parametrize(
    "probe",
    [
        pytest.param(
            probe, id=probe.id, marks=[pytest.mark.extra(probe.extra)] if probe.extra else []
        )
        for probe in PROBES
    ],
)
def test_probe(probe):
    sample = probe.make()
    if sample.read is not None:
        np.testing.assert_array_equal(sample.read, sample.written)
    if sample.expected is None:
        with pytest.raises(UnsupportedImageError, match="not supported"):
            decode(sample.data, name="photo")
        return
    image = decode(sample.data, name="photo")
    assert image.dtype == np.uint8
    assert image.shape == sample.expected.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - np.rint(sample.expected)).max() <= probe.tolerance


def test_number_of_probes():
    assert len({probe.id for probe in PROBES}) == len(PROBES) >= 150

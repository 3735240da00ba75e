"""Faster start of Hydra, without effect on the composed config."""

import pytest
from hydra._internal.hydra import Hydra

from outliers_bench.config import hydra_speedups


@pytest.mark.parametrize(
    ("arguments", "computed"),
    [
        (["model=pixels"], False),
        (["-m", "model=pixels,sift"], False),
        (["+experiments=search"], True),
        (["model=pixels", "hydra.mode=MULTIRUN"], True),
        (["--config-dir", "mine", "+mine=1"], True),
        (["-cn", "mine"], True),
    ],
)
def test_mode_is_computed_only_if_it_can_be_set(arguments, computed, monkeypatch):
    monkeypatch.setattr(Hydra, "get_mode", hydra_speedups._get_mode)
    hydra_speedups.spare_mode(arguments)
    assert (Hydra.get_mode is hydra_speedups._get_mode) is computed

"""What is spared at the start changes nothing of what is composed."""

import pytest
from hydra._internal.hydra import Hydra

from outliers_bench.config import hydra_speedups


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        (["model=pixels"], False),
        (["-m", "model=pixels,sift"], False),
        (["+experiments=search"], True),
        (["model=pixels", "hydra.mode=MULTIRUN"], True),
        (["--config-dir", "mine", "+mine=1"], True),
        (["-cn", "mine"], True),
    ],
)
def test_hydra_looks_for_its_mode_only_where_it_can_be_set(words, asks, monkeypatch):
    monkeypatch.setattr(Hydra, "get_mode", hydra_speedups._get_mode)
    hydra_speedups.spare_mode(words)
    assert (Hydra.get_mode is hydra_speedups._get_mode) is asks

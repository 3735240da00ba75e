"""Learning rate schedules, epoch by epoch."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from outliers_bench.config.paths import resource_dir
from outliers_bench.errors import BenchError
from outliers_bench.training.schedules import (
    CosineSchedule,
    ExponentialSchedule,
    LrSchedule,
    OriginalSchedule,
)

SCHEDULES = {
    "constant": LrSchedule,
    "original": OriginalSchedule,
    "exponential": ExponentialSchedule,
    "cosine": CosineSchedule,
}


def rates(schedule, epochs, base=0.001):
    return [schedule.rate(base, epoch, epochs) for epoch in range(epochs)]


def test_the_original_schedule_multiplies_the_current_rate():
    def schedule(epoch, lr):
        return lr if epoch < 1 else lr * 0.85 ** math.floor(epoch / 1)

    lr, expected = 0.001, []
    for epoch in range(30):
        lr = schedule(epoch, lr)
        expected.append(lr)
    assert rates(OriginalSchedule(), 30) == expected


def test_the_original_schedule_decays_faster_than_exponentially():
    result = rates(OriginalSchedule(), 10, base=1.0)
    assert result == pytest.approx([0.85 ** (e * (e + 1) / 2) for e in range(10)])
    # The figures in the docstring.
    assert [round(result[2], 2), round(result[5], 2), round(result[9], 4)] == [0.61, 0.09, 0.0007]
    ratios = [after / before for before, after in itertools.pairwise(result)]
    assert all(later < sooner for sooner, later in itertools.pairwise(ratios))


def test_rates_computed_by_hand():
    assert rates(LrSchedule(), 3, base=0.5) == [0.5, 0.5, 0.5]
    assert rates(ExponentialSchedule(decay=0.5), 4, base=8.0) == [8, 4, 2, 1]
    assert rates(OriginalSchedule(decay=0.5), 4, base=64.0) == [64, 32, 8, 1]
    assert rates(CosineSchedule(), 4, base=2.0) == pytest.approx(
        [2, 1 + math.sqrt(0.5), 1, 1 - math.sqrt(0.5)]
    )
    assert rates(CosineSchedule(final=0.2), 2, base=1.0) == pytest.approx([1, 0.6])


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_rises_linearly_and_the_schedule_follows(name):
    plain, warm = SCHEDULES[name](), SCHEDULES[name](warmup_epochs=3)
    result = rates(warm, 8, base=1.0)
    assert result[:3] == pytest.approx([0.25, 0.5, 0.75])
    assert result[3:] == rates(plain, 5, base=1.0)


@given(
    name=st.sampled_from(sorted(SCHEDULES)),
    epochs=st.integers(1, 40),
    warmup=st.integers(0, 50),
    base=st.floats(1e-6, 10),
)
def test_rates_are_positive_and_never_above_the_base(name, epochs, warmup, base):
    result = rates(SCHEDULES[name](warmup_epochs=warmup), epochs, base)
    # With 40 epochs, 0.85 ** 820 is still above zero in float64.
    assert all(0 < rate <= base * (1 + 1e-12) for rate in result)
    after_warmup = result[warmup:]
    assert after_warmup == sorted(after_warmup, reverse=True)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (LrSchedule(warmup_epochs=-1), "lr_schedule.warmup_epochs=-1"),
        (OriginalSchedule(decay=0.0), "lr_schedule.decay=0.0"),
        (ExponentialSchedule(decay=1.5), "lr_schedule.decay=1.5"),
        (ExponentialSchedule(decay=math.nan), "lr_schedule.decay=nan"),
        (CosineSchedule(final=-0.1), "lr_schedule.final=-0.1"),
        (CosineSchedule(warmup_epochs=-2), "lr_schedule.warmup_epochs=-2"),
    ],
)
def test_invalid_options_are_rejected_by_name(schedule, message):
    with pytest.raises(BenchError, match=message):
        schedule.check()


def test_labels_show_non_default_options():
    assert LrSchedule().label == ""
    assert LrSchedule(warmup_epochs=2).label == "constant warmup_epochs=2"
    assert CosineSchedule().label == "cosine"
    assert OriginalSchedule(decay=0.9).label == "original decay=0.9"


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_conf_file_has_the_defaults(name):
    loaded = OmegaConf.load(resource_dir("conf") / "lr_schedule" / f"{name}.yaml")
    defaults = loaded.pop("defaults")
    assert defaults[0] == {"/schema/lr_schedule@_here_": name}
    schedule = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SCHEDULES[name]), loaded))
    assert schedule == SCHEDULES[name]()
    schedule.check()
    assert set(loaded) == set(vars(schedule))

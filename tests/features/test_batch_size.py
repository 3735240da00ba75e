"""`engine.batch_size=auto`: measured once, kept, and only what is sound and clearly faster."""

import time
from operator import length_hint

import numpy as np
import pytest

from outliers_bench.features import tuning
from outliers_bench.features.batches import Counted
from outliers_bench.features.engine import Engine, Precision
from outliers_bench.features.inference import network_embedder
from outliers_bench.features.openvino_running import OpenVinoRunner, compiled
from tests.features.openvino_toys import Toy, keep_toy, read

MANY = 100_000


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(tuning, "ROUND_SECONDS", 0.001)


def tuned(model, images=MANY, size=16):
    return tuning.tuned(model, size, Precision.f32, images, spare=60.0)


def test_measured_once_and_used_from_then_on(tmp_path, monkeypatch):
    model = keep_toy(Toy(), tmp_path)
    first = tuned(model)
    kept = model.with_name(tuning.KEPT)
    (found,) = read(kept).values()
    assert found["batch"] == first.batch
    assert set(found["images_per_second"]) >= {"1", "2"}
    kept.write_text(kept.read_text().replace(f'"batch": {first.batch}', '"batch": 5'))
    monkeypatch.setattr(tuning, "_fastest", lambda *_, **__: pytest.fail("measured again"))
    assert tuned(model).batch == 5
    assert tuned(model, images=1).batch == 5  # a run that goes on with its last images


def test_another_machine_measures_for_itself(tmp_path, monkeypatch):
    model = keep_toy(Toy(), tmp_path)
    tuned(model)
    monkeypatch.setattr(tuning, "cores", lambda: 77)
    tuned(model)
    assert len(read(model.with_name(tuning.KEPT))) == 2


def test_few_images_are_not_worth_measuring(tmp_path):
    model = keep_toy(Toy(), tmp_path)
    assert tuned(model, images=tuning.FEW - 1).batch == 1
    assert not model.with_name(tuning.KEPT).exists()


def test_the_embedder_hears_how_many_images_come(tmp_path):
    model = keep_toy(Toy(), tmp_path)
    image = np.zeros((16, 16, 3), np.uint8)
    stream = [(bytes([row]), image) for row in range(3)]
    assert length_hint(Counted(iter(stream), MANY)) == MANY
    embed = network_embedder(Toy(), Engine(), tmp_path, list)
    assert len(dict(embed(Counted(iter(stream), 3)))) == 3
    assert embed.facts == {"batch_size": 1, "difference_from_keras": 1e-6}
    assert not model.with_name(tuning.KEPT).exists()
    embed = network_embedder(Toy(), Engine(), tmp_path, list)
    assert len(dict(embed(Counted(iter(stream), MANY)))) == 3
    (found,) = read(model.with_name(tuning.KEPT)).values()
    assert embed.facts["batch_size"] == found["batch"]


class Fake:
    """A compiled network of which the speed is known."""

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return 2


def fastest(monkeypatch, rates, *, dependent=(), size=224, seconds=1e6):
    asked = []

    class Timed:
        def __init__(self, runner, _size):
            self.runner, self.batch = runner, runner.batch
            asked.append(self.batch)

        def rate(self):
            return rates[self.batch]

        def independent(self):
            return self.batch not in dependent

    monkeypatch.setattr(tuning, "_Timed", Timed)
    best, measured = tuning._fastest(Fake(1), Fake, size, until=time.perf_counter() + seconds)
    assert set(measured) <= set(asked)
    return best.batch, asked


def test_a_larger_batch_must_be_clearly_faster(monkeypatch):
    # As measured for MobileNet and ResNet50 on two cores.
    assert fastest(monkeypatch, {1: 100, 2: 110, 4: 97, 8: 87, 16: 94}) == (2, [1, 2, 4, 8])
    assert fastest(monkeypatch, {1: 14.6, 2: 17.9, 4: 19.3, 8: 20.3, 16: 18.9})[0] == 8
    assert fastest(monkeypatch, {1: 100, 2: 102, 4: 102, 8: 500, 16: 500}) == (1, [1, 2, 4])


def test_no_batch_whose_vectors_depend_on_neighbours(monkeypatch):
    rates = {1: 1, 2: 10, 4: 20, 8: 40, 16: 80}
    assert fastest(monkeypatch, rates, dependent=(4, 16))[0] == 8


def test_bounded_in_memory_and_time(monkeypatch):
    rates = {1: 10, 2: 20, 4: 40, 8: 80, 16: 160}
    assert fastest(monkeypatch, rates, size=4096) == (1, [1])
    assert fastest(monkeypatch, rates, size=1024)[0] == 4
    # A round of two requests of two images takes 0.4 s at the rate that is known.
    assert fastest(monkeypatch, rates, seconds=0.4 * 2 * tuning.ROUNDS) == (1, [1])


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_dependence_on_neighbours_is_seen(tmp_path, batch):
    sound = keep_toy(Toy(), tmp_path / "sound")
    mixing = keep_toy(Toy(), tmp_path / "mixing", across=True)
    assert tuning._Timed(OpenVinoRunner(compiled(sound, batch)), 16).independent()
    assert not tuning._Timed(OpenVinoRunner(compiled(mixing, batch)), 16).independent()

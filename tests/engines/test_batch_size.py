"""`engine.batch_size=auto`: measured once, kept, and only what is sound and clearly faster."""

import json
from operator import length_hint

import numpy as np
import pytest

from outliers_bench.engines import batch_size, batch_size_cache, timing
from outliers_bench.engines.batch_size_cache import BatchSizeCache, Measurements
from outliers_bench.engines.batches import SizedStream
from outliers_bench.engines.embed import network_embedder
from outliers_bench.engines.openvino_run import OpenVinoRunner, candidate_batch_sizes, compile_model
from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError
from tests.engines.openvino_toys import Toy, read, store_toy

MANY = 10_000_000
# Images a second by batch size, as measured on two cores.
RESNET50 = {1: 14.6, 2: 17.9, 4: 19.3, 8: 20.3, 16: 18.9}
MOBILENET = {1: 100, 2: 110, 4: 97, 8: 87, 16: 94}


class Machine:
    """A clock that only the networks on it move, each as fast as is said by batch size."""

    def __init__(self, rates, record, *, compiling=0.4, dependent=(), too_large=()):
        self.rates, self.record, self.compiling = rates, record, compiling
        self.dependent, self.too_large = dependent, too_large
        self.now = 0.0
        self.made = []

    def clock(self):
        return self.now

    def make(self, batch):
        self.made.append(batch)
        self.now += self.compiling
        return Fake(self, batch)

    def tuned(self, images, *, spare=0.0, size=224, first=1):
        self.made.clear()
        sizes = candidate_batch_sizes(size)
        return batch_size.tune_batch_size(
            self.make, size, self.record, images, candidates=sizes, first=first, spare=spare
        ).batch

    def found(self):
        return self.record.read()


class Fake:
    """Two requests in flight; gives each image its own number as a vector."""

    def __init__(self, machine, batch):
        self.machine, self.batch = machine, batch

    def __len__(self):
        return 2

    def __call__(self, images):
        if self.batch in self.machine.too_large:
            raise BenchError("no room")
        images = list(images)
        assert len(images) % self.batch == 0
        self.machine.now += len(images) / self.machine.rates[self.batch]
        for place, (key, image) in enumerate(images):
            mixed = place % self.batch if self.batch in self.machine.dependent else 0
            yield key, np.float32([int(image[0, 0, 0]) + mixed])


@pytest.fixture
def machine(tmp_path, monkeypatch):
    def on(rates, name="batch.json", **options):
        made = Machine(rates, BatchSizeCache(tmp_path / name, "here"), **options)
        for module in (timing, batch_size):
            monkeypatch.setattr(module, "perf_counter", made.clock)
        return made

    return on


def test_a_larger_batch_must_be_clearly_faster(machine):
    assert machine(MOBILENET, "a").tuned(MANY) == 2
    assert machine(RESNET50, "b").tuned(MANY) == 8
    flat = machine({1: 100, 2: 102, 4: 102, 8: 500, 16: 500}, "c")
    assert flat.tuned(MANY) == 1
    assert flat.made == [1, 4, 2]
    # Four are faster than one, but not clearly faster than two.
    assert machine({1: 100, 2: 119, 4: 120, 8: 110}, "d").tuned(MANY) == 2
    assert machine({1: 1, 2: 2, 4: 3, 8: 4, 16: 5}, "e").tuned(MANY) == 16


def test_a_common_run_of_a_slow_network_has_time_for_a_good_one(machine):
    resnet = machine(RESNET50)
    assert resnet.tuned(1000) in (4, 8)
    assert resnet.now < 1.1 * 0.05 * 1000 / 14.6 + 0.4


def test_a_fast_network_is_measured_in_two_seconds(machine):
    mobilenet = machine(MOBILENET, compiling=0.3)
    mobilenet.tuned(MANY)
    assert mobilenet.now < 2
    assert mobilenet.found().complete


@pytest.mark.parametrize("images", [64, 100, 300, 1000, 3000, 10_000, 100_000])
@pytest.mark.parametrize("rates", [MOBILENET, RESNET50])
def test_the_measuring_takes_its_share_of_the_time_and_no_more(machine, rates, images):
    network = machine(rates)
    network.tuned(images)
    begun = 0.4 + 6 / rates[1] + timing.ROUND_SECONDS  # compiling, first requests, the rate itself
    assert network.now <= begun + 0.05 * images / rates[1]


def test_what_there_was_no_time_for_is_measured_when_there_is(machine):
    resnet = machine(RESNET50)
    assert resnet.tuned(100) == 1
    found = resnet.found()
    assert not found.complete
    assert found.seconds_allowed == pytest.approx(0.05 * 100 / 14.6)
    assert resnet.tuned(1_000_000) == 8
    assert resnet.found().complete
    assert resnet.tuned(MANY) == 8
    assert resnet.made == [8]


def test_it_goes_on_from_what_was_measured(machine):
    resnet = machine(RESNET50)
    assert resnet.tuned(1000) == 4
    assert resnet.tuned(100_000) == 8
    assert resnet.made == [4, 8, 16]  # neither 1 nor 2 again


@pytest.mark.parametrize("images", [64, 100, 1000, 10_000])
@pytest.mark.parametrize("spare", [0.0, 2.5])
def test_a_run_that_was_broken_off_goes_on_with_the_same(machine, images, spare):
    resnet = machine(RESNET50)
    batch = resnet.tuned(images, spare=spare)
    kept = resnet.found()
    resnet.rates = {size: rate * 0.5 for size, rate in RESNET50.items()}  # a busy machine
    for left in (images, images - 1, images // 2, 1):
        assert resnet.tuned(left) == batch
        assert resnet.made == [batch]
    assert resnet.found() == kept


def test_no_batch_whose_vectors_depend_on_neighbors(machine):
    rates = {1: 1, 2: 10, 4: 20, 8: 40, 16: 80}
    mixing = machine(rates, dependent=(4, 16))
    assert mixing.tuned(MANY) == 8
    assert mixing.found().sound == {2: True, 4: False, 8: True, 16: False}


def test_no_batch_that_does_not_fit_into_memory(machine):
    small = machine({1: 1, 2: 10, 4: 20, 8: 40, 16: 80}, too_large=(8, 16))
    assert small.tuned(MANY) == 4
    assert small.found().complete


def test_large_images_go_in_small_batches(machine):
    rates = {1: 10, 2: 20, 4: 40, 8: 80, 16: 160}
    assert machine(rates, "a").tuned(MANY, size=4096) == 1
    assert machine(rates, "b").tuned(MANY, size=1448) == 2
    assert machine(rates, "c").tuned(MANY, size=1024) == 4


def test_few_images_are_not_worth_measuring(machine):
    resnet = machine(RESNET50)
    assert resnet.tuned(batch_size.MIN_IMAGES - 1) == 1
    assert resnet.now == resnet.compiling
    assert resnet.found() == Measurements()


def test_it_may_begin_in_the_middle(machine):
    assert machine(RESNET50, "a").tuned(MANY, first=16) == 8
    assert machine({1: 9, 2: 10, 4: 8, 8: 7, 16: 6}, "b").tuned(MANY, first=8) == 2


def test_it_begins_with_one_that_is_sound(machine, caplog):
    resnet = machine(RESNET50, "a", dependent=(8,), too_large=(16,))
    assert resnet.tuned(64, first=16) == 4
    assert resnet.made == [16, 8, 4]
    assert not resnet.found().complete
    assert resnet.tuned(30, first=16) == 4
    assert resnet.made == [4]
    assert caplog.records == []
    assert resnet.tuned(MANY, first=16) == 4
    assert resnet.made == [4, 2]  # the larger ones are known to be out


def test_one_that_is_asked_for_is_checked_once_and_told(machine, caplog):
    resnet = machine(RESNET50, dependent=(8,))
    for batch, told in ((1, 0), (4, 0), (8, 1)):
        caplog.clear()
        assert batch_size.check_batch_size(resnet.make, batch, 32, resnet.record).batch == batch
        assert len(caplog.records) == told
    before = resnet.now
    batch_size.check_batch_size(resnet.make, 8, 32, resnet.record)
    assert resnet.now == before + resnet.compiling
    assert caplog.text.count("engine.batch_size=8") == 2
    assert resnet.found().batch == 0  # nothing was measured
    assert resnet.tuned(MANY) == 4  # 8 is known to be out
    assert 8 not in resnet.made


@pytest.mark.parametrize("damage", ["{", "[]", '{"here": 3}', '{"here": {"batch": 5}}'])
def test_what_cannot_be_read_is_measured_again(machine, damage, tmp_path):
    (tmp_path / "batch.json").write_text(damage)
    assert machine(RESNET50).tuned(MANY) == 8
    assert json.loads((tmp_path / "batch.json").read_text())["here"]["batch"] == 8


def test_the_embedder_hears_how_many_images_come(tmp_path):
    model = store_toy(Toy(), tmp_path)
    kept = model.with_name("batch.json")
    image = np.zeros((16, 16, 3), np.uint8)
    stream = [(bytes([row]), image) for row in range(3)]
    assert length_hint(SizedStream(iter(stream), MANY)) == MANY
    embed = network_embedder(Toy(), Engine(), tmp_path, list)
    assert len(dict(embed(SizedStream(iter(stream), 3)))) == 3
    assert embed.facts == {"batch_size": 1, "difference_from_keras": 1e-6}
    assert not kept.exists()
    embed = network_embedder(Toy(), Engine(), tmp_path, list)
    assert len(dict(embed(SizedStream(iter(stream), MANY)))) == 3
    (found,) = read(kept).values()
    assert embed.facts["batch_size"] == found["batch"]
    assert set(found["images_per_second"]) >= {"1", "4"}


def test_another_machine_measures_for_itself(tmp_path, monkeypatch):
    kept = store_toy(Toy(), tmp_path).with_name("batch.json")
    image = np.zeros((16, 16, 3), np.uint8)
    for cores in (1, 77):
        monkeypatch.setattr(batch_size_cache, "cores", lambda cores=cores: cores)
        embed = network_embedder(Toy(), Engine(batch_size=2), tmp_path, list)
        assert len(dict(embed([(b"a", image)]))) == 1
    assert len(read(kept)) == 2


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_dependence_on_neighbors_is_seen(tmp_path, batch):
    sound = store_toy(Toy(), tmp_path / "sound")
    mixing = store_toy(Toy(), tmp_path / "mixing", across=True)
    assert timing.is_independent(OpenVinoRunner(compile_model(sound, batch)), 16)
    assert not timing.is_independent(OpenVinoRunner(compile_model(mixing, batch)), 16)

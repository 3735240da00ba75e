"""Tuning of `engine.batch_size=auto`: measured once, sound, and clearly faster."""

import json
from operator import length_hint

import numpy as np
import pytest

from outliers_bench.engines import batch_size, batch_size_cache, timing
from outliers_bench.engines.batch_size import TunedEmbedder
from outliers_bench.engines.batch_size_cache import BatchSizeCache, Measurements
from outliers_bench.engines.batches import SizedStream
from outliers_bench.engines.embed import network_embedder
from outliers_bench.engines.openvino_run import OpenVinoRunner, candidate_batch_sizes, compile_model
from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError
from tests.engines.openvino_toys import Toy, read, store_toy

MANY = 10_000_000
# Images per second by batch size, measured on two cores.
RESNET50 = {1: 14.6, 2: 17.9, 4: 19.3, 8: 20.3, 16: 18.9}
MOBILENET = {1: 100, 2: 110, 4: 97, 8: 87, 16: 94}


class Machine:
    """A fake clock that networks advance according to their rates by batch size."""

    def __init__(self, rates, record, *, compiling=0.4, dependent=(), too_large=(), other=()):
        self.rates, self.record, self.compiling = rates, record, compiling
        self.dependent, self.too_large, self.other = dependent, too_large, other
        self.now = 0.0
        self.created = []

    def clock(self):
        return self.now

    def make(self, batch):
        self.created.append(batch)
        self.now += self.compiling
        return FakeRunner(self, batch)

    def tune(self, images, *, spare=0.0, size=224, first=1):
        self.created.clear()
        sizes = candidate_batch_sizes(size)
        embedder = TunedEmbedder(
            self.make, size, self.record, candidates=sizes, first=first, spare=spare
        )
        return embedder.tune(images).batch

    def check(self, batch):
        embedder = TunedEmbedder(self.make, 32, self.record, candidates=[1], first=1)
        return embedder.check(batch).batch

    def measurements(self):
        return self.record.read()


class FakeRunner:
    """A runner with two requests in flight, whose vectors are the images' values."""

    def __init__(self, machine, batch):
        self.machine, self.batch = machine, batch

    def __len__(self):
        return 2

    def __call__(self, images):
        if self.batch in self.machine.too_large:
            raise BenchError("out of memory")
        images = list(images)
        assert len(images) % self.batch == 0
        self.machine.now += len(images) / self.machine.rates[self.batch]
        for position, (key, image) in enumerate(images):
            offset = position % self.batch if self.batch in self.machine.dependent else 0
            value = np.float32(int(image[0, 0, 0]) + offset)
            yield (
                key,
                np.float32([np.nextafter(value, 0) if self.batch in self.machine.other else value]),
            )


@pytest.fixture
def machine(tmp_path, monkeypatch):
    def create(rates, name="batch.json", **options):
        machine = Machine(rates, BatchSizeCache(tmp_path / name, "here"), **options)
        for module in (timing, batch_size):
            monkeypatch.setattr(module, "perf_counter", machine.clock)
        return machine

    return create


def test_a_larger_batch_must_be_clearly_faster(machine):
    assert machine(MOBILENET, "a").tune(MANY) == 2
    assert machine(RESNET50, "b").tune(MANY) == 8
    flat = machine({1: 100, 2: 102, 4: 102, 8: 500, 16: 500}, "c")
    assert flat.tune(MANY) == 1
    assert flat.created == [1, 4, 2]
    # Four are faster than one, but not clearly faster than two.
    assert machine({1: 100, 2: 119, 4: 120, 8: 110}, "d").tune(MANY) == 2
    assert machine({1: 1, 2: 2, 4: 3, 8: 4, 16: 5}, "e").tune(MANY) == 16


def test_a_typical_run_of_a_slow_network_has_time_to_find_a_fast_batch_size(machine):
    resnet = machine(RESNET50)
    assert resnet.tune(1000) in (4, 8)
    assert resnet.now < 1.1 * 0.05 * 1000 / 14.6 + 0.4


def test_a_fast_network_is_measured_in_two_seconds(machine):
    mobilenet = machine(MOBILENET, compiling=0.3)
    mobilenet.tune(MANY)
    assert mobilenet.now < 2
    assert mobilenet.measurements().complete


@pytest.mark.parametrize("images", [64, 100, 300, 1000, 3000, 10_000, 100_000])
@pytest.mark.parametrize("rates", [MOBILENET, RESNET50])
def test_measuring_takes_no_more_than_its_share_of_the_time(machine, rates, images):
    network = machine(rates)
    network.tune(images)
    setup = (
        0.4 + 6 / rates[1] + timing.ROUND_SECONDS
    )  # compilation, first requests, one measurement
    assert network.now <= setup + 0.05 * images / rates[1]


def test_a_longer_run_measures_what_a_short_one_had_no_time_for(machine):
    resnet = machine(RESNET50)
    assert resnet.tune(100) == 1
    measured = resnet.measurements()
    assert not measured.complete
    assert measured.seconds_allowed == pytest.approx(0.05 * 100 / 14.6)
    assert resnet.tune(1_000_000) == 8
    assert resnet.measurements().complete
    assert resnet.tune(MANY) == 8
    assert resnet.created == [8]


def test_measuring_continues_from_cached_measurements(machine):
    resnet = machine(RESNET50)
    assert resnet.tune(1000) == 4
    assert resnet.tune(100_000) == 8
    assert resnet.created == [4, 8, 16]  # not 1 and 2 again


@pytest.mark.parametrize("images", [64, 100, 1000, 10_000])
@pytest.mark.parametrize("spare", [0.0, 2.5])
def test_a_resumed_run_uses_the_same_batch_size(machine, images, spare):
    resnet = machine(RESNET50)
    batch = resnet.tune(images, spare=spare)
    cached = resnet.measurements()
    resnet.rates = {size: rate * 0.5 for size, rate in RESNET50.items()}  # a busy machine
    for left in (images, images - 1, images // 2, 1):
        assert resnet.tune(left) == batch
        assert resnet.created == [batch]
    assert resnet.measurements() == cached


def test_batch_sizes_whose_vectors_depend_on_neighbors_are_not_used(machine):
    rates = {1: 1, 2: 10, 4: 20, 8: 40, 16: 80}
    dependent = machine(rates, dependent=(4, 16))
    assert dependent.tune(MANY) == 8
    digests = dependent.measurements().digests
    assert {batch: bool(digest) for batch, digest in digests.items()} == {
        **{1: True, 2: True, 4: False, 8: True, 16: False}
    }


@pytest.mark.parametrize(
    ("first", "other", "best"), [(1, (8, 16), 4), (8, (1, 2), 16), (1, (1,), 1)]
)
def test_only_batch_sizes_that_give_the_same_vectors_are_used(machine, first, other, best):
    rates = {1: 1, 2: 10, 4: 20, 8: 40, 16: 80}
    network = machine(rates, other=other)
    for images in (MANY, MANY, 30):
        assert network.tune(images, first=first) == best
    assert network.measurements().complete


def test_batch_sizes_that_do_not_fit_into_memory_are_not_used(machine):
    small = machine({1: 1, 2: 10, 4: 20, 8: 40, 16: 80}, too_large=(8, 16))
    assert small.tune(MANY) == 4
    assert small.measurements().complete


def test_large_images_are_embedded_in_small_batches(machine):
    rates = {1: 10, 2: 20, 4: 40, 8: 80, 16: 160}
    assert machine(rates, "a").tune(MANY, size=4096) == 1
    assert machine(rates, "b").tune(MANY, size=1448) == 2
    assert machine(rates, "c").tune(MANY, size=1024) == 4


def test_nothing_is_measured_for_few_images(machine):
    resnet = machine(RESNET50)
    assert resnet.tune(batch_size.MIN_IMAGES - 1) == 1
    assert resnet.now == resnet.compiling
    assert resnet.measurements() == Measurements()


def test_tuning_may_start_in_the_middle(machine):
    assert machine(RESNET50, "a").tune(MANY, first=16) == 8
    assert machine({1: 9, 2: 10, 4: 8, 8: 7, 16: 6}, "b").tune(MANY, first=8) == 2


def test_tuning_starts_from_a_sound_batch_size(machine, caplog):
    resnet = machine(RESNET50, "a", dependent=(8,), too_large=(16,))
    assert resnet.tune(64, first=16) == 4
    assert resnet.created == [16, 8, 4]
    assert not resnet.measurements().complete
    assert resnet.tune(30, first=16) == 4
    assert resnet.created == [4]
    assert caplog.records == []
    assert resnet.tune(MANY, first=16) == 4
    assert resnet.created == [4, 2]  # the larger ones are known not to be sound


def test_a_given_batch_size_is_checked_once_and_warned_of(machine, caplog):
    resnet = machine(RESNET50, dependent=(8,))
    for batch, n_warnings in ((1, 0), (4, 0), (8, 1)):
        caplog.clear()
        assert resnet.check(batch) == batch
        assert len(caplog.records) == n_warnings
    start = resnet.now
    resnet.check(8)
    assert resnet.now == start + resnet.compiling
    assert caplog.text.count("engine.batch_size=8") == 2
    assert resnet.measurements().batch == 0  # nothing was measured
    assert resnet.tune(MANY) == 4  # 8 is known not to be sound
    assert 8 not in resnet.created


@pytest.mark.parametrize("damage", ["{", "[]", '{"here": 3}', '{"here": {"batch": 5}}'])
def test_a_damaged_file_is_measured_again(machine, damage, tmp_path):
    (tmp_path / "batch.json").write_text(damage)
    assert machine(RESNET50).tune(MANY) == 8
    assert json.loads((tmp_path / "batch.json").read_text())["here"]["batch"] == 8


def test_the_embedder_uses_the_length_hint_of_the_stream(tmp_path):
    model = store_toy(Toy(), tmp_path)
    file = model.with_name("batch.json")
    image = np.zeros((16, 16, 3), np.uint8)
    stream = [(bytes([row]), image) for row in range(3)]
    assert length_hint(SizedStream(iter(stream), MANY)) == MANY
    embed = network_embedder(Toy(), Engine(), tmp_path, list)
    assert len(dict(embed(SizedStream(iter(stream), 3)))) == 3
    assert embed.facts == {"batch_size": 1, "difference_from_keras": 1e-6}
    assert not file.exists()
    embed = network_embedder(Toy(), Engine(), tmp_path, list)
    assert len(dict(embed(SizedStream(iter(stream), MANY)))) == 3
    (cached,) = read(file).values()
    assert embed.facts["batch_size"] == cached["batch"]
    assert set(cached["images_per_second"]) >= {"1", "4"}


def test_each_machine_has_its_own_measurements(tmp_path, monkeypatch):
    file = store_toy(Toy(), tmp_path).with_name("batch.json")
    image = np.zeros((16, 16, 3), np.uint8)
    for cores in (1, 77):
        monkeypatch.setattr(batch_size_cache, "cores", lambda cores=cores: cores)
        embed = network_embedder(Toy(), Engine(batch_size=2), tmp_path, list)
        assert len(dict(embed([(b"a", image)]))) == 1
    assert len(read(file)) == 2


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_dependence_on_neighbors_is_detected(tmp_path, batch):
    sound = store_toy(Toy(), tmp_path / "sound")
    dependent = store_toy(Toy(), tmp_path / "dependent", across=True)
    assert timing.vector_digest(OpenVinoRunner(compile_model(sound, batch)), 16)
    assert not timing.vector_digest(OpenVinoRunner(compile_model(dependent, batch)), 16)


def test_damaged_measurements_are_absent(tmp_path):
    store = BatchSizeCache(tmp_path / "batch.json", "here")
    measured = Measurements(4, {2: 10.0, 4: 31.5, 16: 20.0}, {2: "a", 4: "a"}, complete=True)
    store.write(measured)
    assert store.read() == measured
    text = store.file.read_text()
    store.file.write_text(text.replace("31.5", "11.5"))
    assert store.read() == Measurements()

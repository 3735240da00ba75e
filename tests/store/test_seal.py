"""Checksums of folders, and digests of networks that do not depend on the date."""

import json
import time
import zipfile

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.store.seal import SEAL, file_digest, is_intact, network_digest, seal


def make_folder(folder):
    folder.mkdir()
    (folder / "model.bin").write_bytes(np.random.default_rng(0).bytes(100_000))
    (folder / "record.json").write_text('{"seconds": 3}')
    seal(folder)
    return folder


@pytest.mark.parametrize("name", ["model.bin", "record.json", SEAL])
def test_every_flipped_bit_is_noticed(tmp_path, caplog, name):
    rng = np.random.default_rng(1)
    for number in range(20):
        folder = make_folder(tmp_path / f"{number}")
        assert is_intact(folder)
        content = bytearray((folder / name).read_bytes())
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        (folder / name).unlink()  # another process damages it: not the file that was read
        (folder / name).write_bytes(content)
        caplog.clear()
        assert not is_intact(folder)
        assert "is damaged; it is made again" in caplog.text


def test_cleared_truncated_and_missing_files_are_noticed(tmp_path):
    folder = make_folder(tmp_path / "one")
    (folder / "model.bin").write_bytes(bytes(100_000))
    assert not is_intact(folder)
    folder = make_folder(tmp_path / "two")
    (folder / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:50_000])
    assert not is_intact(folder)
    (folder / "model.bin").unlink()
    assert not is_intact(folder)
    assert not is_intact(tmp_path / "nowhere")


def test_folder_of_an_earlier_version_is_sealed(tmp_path):
    folder = make_folder(tmp_path / "one")
    (folder / SEAL).unlink()
    (folder / "batch.json").write_text("{}")
    assert is_intact(folder, ["model.bin", "record.json"])
    assert set(json.loads((folder / SEAL).read_text())) == {"model.bin", "record.json"}
    (folder / "batch.json").write_text('{"changed": 1}')
    assert is_intact(folder)


def keras_file(path, *, date="2026-01-01", weights=b"weights" * 1000, **layer):
    config = {"layers": [{"units": 3, "shared_object_id": id(path), **layer}]}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"date_saved": date}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    return path


def test_digest_of_a_network_depends_on_layers_and_weights_only(tmp_path):
    first = keras_file(tmp_path / "a.keras")
    again = keras_file(tmp_path / "b.keras", date="2026-01-02")
    assert file_digest(first) != file_digest(again)
    assert network_digest(first) == network_digest(again)
    other = keras_file(tmp_path / "c.keras", units=4)
    trained = keras_file(tmp_path / "d.keras", weights=b"weighty" * 1000)
    assert len({network_digest(path) for path in (first, other, trained)}) == 3
    plain = tmp_path / "a.weights.h5"
    plain.write_bytes(b"weights")
    assert network_digest(plain) == file_digest(plain)


def test_damaged_network_is_one_line(tmp_path):
    path = keras_file(tmp_path / "a.keras")
    content = bytearray(path.read_bytes())
    content[content.index(b"weightsweights") + 2000] ^= 4
    path.write_bytes(content)
    with pytest.raises(BenchError, match=r"a\.keras: damaged") as caught:
        network_digest(path)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_digest_of_a_network_saved_twice_by_keras(tmp_path):
    import keras

    def save(name):
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        pixels = keras.Input((8, 8, 3))
        output = keras.layers.Dense(3)(keras.layers.Flatten()(pixels))
        keras.Model(pixels, output, name="toy").save(tmp_path / name)
        return tmp_path / name

    first = save("a.keras")
    time.sleep(1.1)
    second = save("b.keras")
    assert file_digest(first) != file_digest(second)
    assert network_digest(first) == network_digest(second)

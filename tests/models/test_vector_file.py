"""Files of embeddings that another program computed."""

import numpy as np
import pandas as pd
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.models.vector_file import read_vectors, table_of_frame

NAMES = ["a/1.jpg", "NA", "007"]
MATRIX = np.float32([[0.1, 2], [-1.5, 1e-9], [3, 0.3333333]])
COLUMNS = pd.DataFrame({"path": NAMES, "label": [7, 8, 9], "d0": MATRIX[:, 0], "d1": MATRIX[:, 1]})
LISTS = pd.DataFrame({"vector": MATRIX.tolist(), "name": NAMES})


def write(path, frame):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix in (".csv", ".tsv"):
        frame.to_csv(path, index=frame is COLUMNS, sep="\t" if path.suffix == ".tsv" else ",")
    elif path.suffix == ".npz":
        np.savez(path, names=np.array(NAMES), embeddings=MATRIX)
    return path


@pytest.mark.parametrize("frame", [COLUMNS, LISTS], ids=["columns", "lists"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".npz"])
def test_every_format_gives_the_same_names_and_numbers(frame, suffix, tmp_path):
    table = read_vectors(write(tmp_path / f"vectors{suffix}", frame), "model.file=x")
    assert table.names == tuple(NAMES)
    assert table.matrix.dtype == np.float32
    np.testing.assert_array_equal(table.matrix, MATRIX)
    assert len(table.digest) == 32


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1"])
def test_a_matrix_of_any_numbers_is_float32(dtype, tmp_path):
    values = np.array([[1, 2, 3], [4, 5, 7]], dtype)
    np.save(tmp_path / "x.npy", values)
    table = read_vectors(tmp_path / "x.npy", "x.npy")
    assert table.names is None
    assert table.matrix.tolist() == [[1, 2, 3], [4, 5, 7]]


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, MATRIX)
    first = read_vectors(path, "x.npy")
    assert read_vectors(path, "x.npy") is first
    np.save(path, 2 * MATRIX)
    second = read_vectors(path, "x.npy")
    np.testing.assert_array_equal(second.matrix, 2 * MATRIX)
    assert second.digest != first.digest


def saved(path, **arrays):
    np.savez(path, **arrays)


BAD_FILES = {
    "nothing.npy": (lambda p: p.write_bytes(b""), "cannot be read as .npy"),
    "text.npy": (lambda p: p.write_text("hello"), "read as .npy: not an array of numbers"),
    "cut.npz": (lambda p: p.write_bytes(b"PK\3\4 cut"), "cannot be read as .npz"),
    "pickle.npy": (lambda p: np.save(p, np.array([{}])), "read as .npy: not an array of numbers"),
    "flat.npy": (lambda p: np.save(p, np.zeros(5)), r"float64 of shape \(5,\); give a matrix"),
    "empty.npy": (lambda p: np.save(p, np.zeros((0, 4))), r"shape \(0, 4\) instead of"),
    "complex.npy": (lambda p: np.save(p, np.zeros((2, 2), complex)), "complex128"),
    "nan.npy": (lambda p: np.save(p, [[0, 1], [np.nan, 1]]), "1 vectors are not finite, row 2"),
    "huge.npy": (lambda p: np.save(p, [[1e300, 1], [0, 1]]), "1 vectors are not finite, row 1"),
    "other.npz": (lambda p: saved(p, x=MATRIX), "has the arrays x; needed: names, embeddings"),
    "numbers.npz": (lambda p: saved(p, names=[1, 2, 3], embeddings=MATRIX), "not text"),
    "few.npz": (lambda p: saved(p, names=NAMES[:2], embeddings=MATRIX), "2 names but 3 vectors"),
    "twice.npz": (lambda p: saved(p, names=["a"] * 3, embeddings=MATRIX), "two vectors for a"),
    "columns.csv": (lambda p: p.write_text("file,x\na,1\n"), "no column path or name; it has fi"),
    "alone.csv": (lambda p: p.write_text("path\na\n"), "has no vectors"),
    "word.csv": (lambda p: p.write_text("path,x,y\na,1,2\nb,1,\n"), "not all .* numbers in y;"),
    "ragged.csv": (lambda p: p.write_text('path,v\na,"[1,2]"\nb,"[1]"\n'), "lengths, 1, 2"),
    "words.csv": (
        lambda p: p.write_text("path,v\na,one\n"),
        "words.csv: not all vectors are lists",
    ),
    "a.parquet": (lambda p: p.write_text("no"), "cannot be read as .parquet"),
}


def test_any_damage_of_a_compressed_file_is_an_error(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, names=np.array(NAMES), embeddings=MATRIX)
    good, failed = path.read_bytes(), 0
    for position in range(0, len(good), 3):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0xFF]) + good[position + 1 :])
        try:
            read_vectors(path, "x.npz")
        except BenchError:
            failed += 1
    assert failed > len(good) / 6


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_wrong_file_is_one_clear_line(name, tmp_path):
    make, match = BAD_FILES[name]
    make(tmp_path / name)
    with pytest.raises(BenchError, match=match) as error:
        read_vectors(tmp_path / name, name)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(name)


def test_a_frame_in_memory_is_read_like_a_file():
    table = table_of_frame(COLUMNS.astype({"d0": "float16"}), "the DataFrame")
    assert table.names == tuple(NAMES)
    assert table.matrix[0, 0] == np.float32(np.float16(0.1))

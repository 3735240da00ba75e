"""`model=embeddings`: which vector belongs to which photo."""

import numpy as np
import pandas as pd
import pytest

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.in_memory import InMemory
from outliers_bench.data.listing import list_images
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.source import LabeledSource, Leakage
from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.errors import BenchError
from outliers_bench.features.precomputed import PrecomputedEmbeddings
from outliers_bench.models.precomputed import Precomputed
from outliers_bench.models.vector_file import VectorTable
from outliers_bench.runtime.meter import Meter
from tests.toys import write_images


@pytest.fixture
def photos(tmp_path):
    """Two classes of six photos, one of them twice."""
    root = tmp_path / "photos"
    write_images(Synthetic(classes=2, individuals=2, images=3, size=8), root)
    first = next(root.rglob("*.png"))
    first.with_name("twice.png").write_bytes(first.read_bytes())
    return root


@pytest.fixture
def split(photos, tmp_path):
    return ClassFolders(root=str(photos)).load(seed=0, cache=tmp_path / "cache")


def model_of(names, matrix=None):
    matrix = np.arange(2 * len(names)).reshape(-1, 2) if matrix is None else matrix
    return Precomputed.of(VectorTable("v.npz", tuple(names), np.float32(matrix)))


def vectors(model, images):
    source = PrecomputedEmbeddings(model, Meter())
    assert source.compute(images) == {}
    return source.load(images).matrix


@pytest.mark.parametrize("kind", ["relative", "absolute", "dotted", "rows"])
def test_each_photo_has_its_vector(kind, photos, split):
    names, _ = list_images(photos)
    expected = {name: [2 * row, 2 * row + 1] for row, name in enumerate(names)}
    order = list(reversed(names))
    written = {"absolute": [photos / n for n in order], "dotted": [f"./{n}" for n in order]}
    model = model_of(map(str, written.get(kind, order)), [expected[name] for name in order])
    if kind == "rows":
        table = VectorTable("v.npy", None, np.float32([expected[name] for name in names]))
        model = Precomputed.of(table)
    model.check_split(split)
    for part in (split.train, split.query, split.gallery):
        assert vectors(model, part).tolist() == [expected[name] for name in part.names]


def test_a_photo_without_a_vector_is_an_error(photos, split):
    names, _ = list_images(photos)
    with pytest.raises(BenchError, match=r"no vector for 2 of 12 photos of photos: class_\S+, cla"):
        model_of(names[2:]).check_split(split)
    with pytest.raises(BenchError, match=r"12 of 12 .*; its names are paths such as x/class_000"):
        model_of([f"x/{name}" for name in names]).check_split(split)


def test_a_vector_without_a_photo_is_an_error(photos, split):
    names, _ = list_images(photos)
    assert split.left_out  # the photo that is there twice; its vector is not missed
    model_of(names).check_split(split)
    with pytest.raises(BenchError, match=r"vectors for 1 names that are no photos of photos: gone"):
        model_of([*names, "gone.jpg"]).check_split(split)


def test_a_matrix_needs_a_row_for_each_file(photos, split, tmp_path):
    matrix = np.float32(np.eye(12))
    with pytest.raises(BenchError, match="has 12 rows, and photos has 13 images"):
        Precomputed.of(VectorTable("v.npy", None, matrix)).check_split(split)
    synthetic = Synthetic().load(seed=0, cache=tmp_path)
    with pytest.raises(BenchError, match="has no order"):
        Precomputed.of(VectorTable("v.npy", None, matrix)).check_split(synthetic)


def test_the_rows_of_a_ready_split_are_in_the_order_of_sorted_paths(photos, tmp_path):
    for part in ("train", "query", "gallery"):
        write_images(Synthetic(classes=2, individuals=1, images=2, size=8), tmp_path / "r" / part)
    names, _ = list_images(tmp_path / "r")
    model = Precomputed.of(VectorTable("v.npy", None, np.float32(np.eye(len(names)))))
    split = PreparedFolders(root=str(tmp_path / "r")).load(seed=0, cache=tmp_path / "cache")
    model.check_split(split)
    for part in (split.train, split.query, split.gallery):
        assert vectors(model, part).argmax(axis=1).tolist() == [names.index(n) for n in part.names]


def test_files_with_two_orders_need_names(photos, tmp_path):
    first = next(path for path in sorted(photos.iterdir()))
    first.rename(photos / "lion")
    next(path for path in sorted(photos.iterdir()) if path.name != "lion").rename(
        photos / "lion cub"
    )
    matrix = np.float32(np.eye(13))
    model = Precomputed.of(VectorTable("v.npy", None, matrix))
    split = ClassFolders(root=str(photos)).load(seed=0, cache=tmp_path / "cache")
    with pytest.raises(BenchError, match=r"two orders: lion cub/\S+ is before lion/\S+ as text"):
        model.check_split(split)
    model_of(list_images(photos)[0], matrix).check_split(split)
    names = list_images(photos)[0]
    frame = pd.DataFrame({"path": names, "label": [name.partition("/")[0] for name in names]})
    source = InMemory.of(frame, LabeledSource())
    source.root = str(photos)
    model.check_split(source.load(seed=0, cache=tmp_path / "cache"))


def test_keys_depend_on_the_content_and_on_which_photo_has_which_vector(photos, split):
    names, _ = list_images(photos)
    matrix = np.random.default_rng(0).random((13, 3))
    model, same = model_of(names, matrix), model_of(names, matrix)
    changed = model_of(names, matrix + 1)
    assert model.space() == same.space() != changed.space()
    assert model.space_on(split) == same.space_on(split)
    swapped = model_of([names[1], names[0], *names[2:]], matrix)
    assert swapped.space_on(split) != model.space_on(split)

    def identity(model):
        source = PrecomputedEmbeddings(model, Meter())
        source.fit(split.train, split.images)
        return source.identity()

    assert identity(model) == identity(same)
    assert len({identity(each) for each in (model, changed, swapped)}) == 3


def test_a_new_photo_has_no_vector(photos, split):
    names, _ = list_images(photos)
    source = PrecomputedEmbeddings(model_of(names), Meter())
    other = split.query.take([0])
    renamed = type(other)(("new.jpg",), other.digests, None, (), other.reader)
    (left_out,) = source.compute(renamed).values()
    assert (left_out.name, left_out.detail) == ("new.jpg", "has no vector in v.npz")


@pytest.mark.parametrize("options", [{"protocol": Protocol.leave_one_out}, {"leakage": "drop"}])
def test_every_protocol_finds_its_vectors(options, photos, tmp_path):
    if "leakage" in options:
        options = {"leakage": Leakage.drop}
    split = ClassFolders(root=str(photos), **options).load(seed=0, cache=tmp_path / "cache")
    model_of(list_images(photos)[0]).check_split(split)


def test_only_a_file_of_a_known_kind_is_accepted(tmp_path):
    (tmp_path / "v.pkl").write_bytes(b"")
    for name, match in (("v.pkl", "give a file named .parquet"), ("v.npz", "no such file")):
        with pytest.raises(BenchError, match=match):
            Precomputed(file=str(tmp_path / name)).check()

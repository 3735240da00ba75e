"""A search reproduces the ranking of the run, with every method."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from outliers_bench.apps.search.output import to_table
from outliers_bench.errors import BenchError
from outliers_bench.methods.embedding import EmbeddingMethod
from outliers_bench.serving.engine import Engine
from outliers_bench.serving.queries import list_queries, open_queries
from outliers_bench.serving.saved_run import FOLDER, SavedRun, find_saved_run
from tests.serving.photos import RUN_ID, config_for, create_run, encoded_photos, write_photos
from tests.toys import toy_split

SMALL = ("model.max_keypoints=60", "model.longest_side=128")
PIXELS = "'pixels image_size=16'"
SIFT, VLAD = "'sift max_keypoints=60 longest_side=128'", "'sift_vlad words=8 max_keypoints=60'"
PLAIN = ("model=pixels", "model.image_size=16")
CNN = ("image_size=22", "epochs=2", "batch_size=4", "validation=0")
NETWORK = ("model=cnn_scratch", *(f"model.{option}" for option in CNN))
FAST = {"pixels, pca": (*PLAIN, "pca.n=5", "l2.before_reduction=true")}
SLOW = {
    "sift": ("model=sift", *SMALL),
    "hnsw": (*PLAIN, "index=faiss_hnsw", "index.metric=euclidean"),
    "projection": (*PLAIN, "reduce=random_projection", "reduce.n=9"),
    "k_reciprocal": (*PLAIN, "rerank=k_reciprocal", "rerank.k1=3"),
    "ivfpq": (*PLAIN, "index=faiss_ivfpq", "index.nlist=2", "index.nbits=2"),
    "sq8": (*PLAIN, "index=faiss_sq8", "index.metric=inner_product", "l2.after_reduction=true"),
    "kd_tree": (*PLAIN, "index=kd_tree", "index.metric=euclidean"),
    "ball_tree": (*PLAIN, "index=ball_tree", "index.metric=euclidean"),
    "whitening": (*PLAIN, "reduce=learned_whitening", "reduce.n=4"),
    "alpha_qe": (*PLAIN, "rerank=alpha_qe", "rerank.n=2"),
    "dba": (*PLAIN, "rerank=dba", "rerank.k=3"),
    "diffusion": (*PLAIN, "rerank=diffusion", "rerank.k=4", "rerank.kq=3"),
    "filtering": (*PLAIN, "rerank=collaborative_filtering", "rerank.k=3"),
    "spatial": (*PLAIN, "rerank=spatial", "rerank.shortlist=4", "rerank.max_keypoints=60"),
    "views": (*PLAIN, "model.tta.flip=true", "model.tta.crops=five"),
    "sift unverified": ("model=sift", "model.verify=none", *SMALL),
    "vlad": ("model=sift_vlad", "model.words=8", "pca.n=4", *SMALL),
    "concatenated": ("model=ensemble", f"model.members=[{PIXELS},{VLAD}]", "pca.n=6"),
    "ranks": ("model=ensemble", f"model.members=[{PIXELS},{SIFT}]", "model.fusion=rrf"),
    "tuned": (
        *("model=ensemble", f"model.members=[{PIXELS},{VLAD},{SIFT}]", "model.fusion=zscore"),
        "model.member_weights=tuned",
    ),
    "lite0": ("model=efficientnet_lite0", "model.weights=random", "model.image_size=64"),
    "lite0 int8": (
        *("model=efficientnet_lite0", "model.weights=random", "model.image_size=64"),
        "engine.precision=int8",
    ),
    "cnn": NETWORK,
    "class scores": (*NETWORK, "model.rank_by=class_scores"),
    "transfer": (
        *("model=transfer", "model.weights=random", "model.image_size=32", "model.pooling=avg"),
        *("model.epochs=2", "model.validation=0", "model.embedding=penultimate"),
    ),
}
CASES = [pytest.param(case, id=name) for name, case in FAST.items()]
CASES += [pytest.param(case, id=name, marks=pytest.mark.slow) for name, case in SLOW.items()]


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def search_for(saved, cache, *paths, n=10):
    queries = open_queries(list_queries(list(map(str, paths))), cache=cache)
    return Engine(saved, cache).query(queries, n)


def hit_names(result, path):
    return [hit.name for hit in result.hits[Path(path)]]


@pytest.mark.parametrize("overrides", CASES)
def test_hits_are_the_ranking_of_the_run(overrides, photos, cache):
    _, split, ranking = create_run(photos, cache, *overrides)
    saved = find_saved_run(cache, RUN_ID[:6], uri="")
    queries = [photos / name for name in split.query.names]
    together = search_for(saved, cache, *queries, n=ranking.depth)
    alone = search_for(saved, cache, queries[1], n=3)
    for row, query in enumerate(queries):
        best_first = [split.gallery.names[i] for i in ranking.indices[row]]
        assert hit_names(together, query) == best_first
        scores = [hit.score for hit in together.hits[query]]
        assert scores == [float(score) for score in ranking.scores[row]]
        for hit in together.hits[query]:
            assert hit.path == photos / hit.name
            assert hit.label == hit.name.partition("/")[0]
    assert hit_names(alone, queries[1]) == hit_names(together, queries[1])[:3]
    scores = [hit.score for hit in alone.hits[queries[1]]]
    assert np.allclose(scores, ranking.scores[1, :3], rtol=1e-5)


ANSWERING = [pytest.param(PLAIN, id="pixels"), pytest.param(SLOW["vlad"], id="vlad")]
ANSWERING += [pytest.param(SLOW[n], id=n, marks=pytest.mark.slow) for n in ("cnn", "transfer")]


@pytest.mark.parametrize("overrides", ANSWERING)
def test_an_engine_builds_once_and_answers_new_photos(
    overrides, photos, cache, tmp_path, monkeypatch
):
    saved, split, _ = create_run(photos, cache, *overrides)
    engine = Engine(saved, cache)
    known, new = photos / split.query.names[0], tmp_path / "new.png"
    new.write_bytes(known.read_bytes() + b"other content, same pixels")

    def query(path):
        found = engine.query(open_queries([path], cache=cache), 4).hits[path]
        return [(hit.name, hit.score) for hit in found]

    expected = query(known)
    for step in ("fit", "index"):
        monkeypatch.setattr(EmbeddingMethod, step, None)
    assert query(new) == expected


def test_new_photos_and_photos_of_the_gallery_and_train_part(photos, cache, tmp_path):
    saved, split, _ = create_run(photos, cache, *PLAIN, "pca.n=5")
    in_gallery = photos / split.gallery.names[2]
    in_train = photos / split.train.names[0]
    duplicate = tmp_path / "duplicate.png"
    shutil.copy(in_gallery, duplicate)
    new = tmp_path / "kind-9" / "new.png"
    new.parent.mkdir()
    new.write_bytes(encoded_photos()[split.query.names[0]] + b"other content, same pixels")
    result = search_for(saved, cache, in_gallery, in_train, duplicate, new)
    for query in (in_gallery, duplicate):
        assert hit_names(result, query)[0] == split.gallery.names[2]
        assert result.hits[query][0].score == pytest.approx(1)
    assert in_train in result.hits
    same = search_for(saved, cache, photos / split.query.names[0])
    assert hit_names(result, new) == hit_names(same, photos / split.query.names[0])
    assert hit_names(search_for(saved, cache, in_train), in_train) == hit_names(result, in_train)


def test_missing_changed_and_added_photos_are_excluded(photos, cache):
    saved, split, ranking = create_run(photos, cache, *PLAIN)
    query = photos / split.query.names[0]
    order = [split.gallery.names[i] for i in ranking.indices[0]]
    missing, changed = order[0], order[2]
    (photos / missing).unlink()
    (photos / changed).write_bytes(encoded_photos()[order[1]])
    (photos / "kind-0" / "added.png").write_bytes(encoded_photos()[split.query.names[0]])
    result = search_for(saved, cache, query, n=4)
    assert result.unavailable == {
        missing: "no such file or directory",
        changed: "changed since the run",
    }
    assert (
        hit_names(result, query) == [name for name in order if name not in (missing, changed)][:4]
    )


def test_missing_gallery_is_an_error(photos, cache, tmp_path):
    saved, _, _ = create_run(photos, cache, *PLAIN)
    query = tmp_path / "query.png"
    query.write_bytes(encoded_photos()["kind-0/0.png"])
    photos.rename(tmp_path / "moved")
    with pytest.raises(BenchError, match=r"none of the .* is available in .*photos; restore them"):
        search_for(saved, cache, query)


def test_missing_features_are_computed_again(photos, cache):
    saved, split, ranking = create_run(photos, cache, *PLAIN)
    shutil.rmtree(cache / "features")
    query = photos / split.query.names[0]
    assert hit_names(search_for(saved, cache, query, n=3), query) == [
        split.gallery.names[i] for i in ranking.indices[0, :3]
    ]


def test_leave_one_out_run_finds_the_query_itself_first(photos, cache):
    saved, split, ranking = create_run(photos, cache, *PLAIN, "data.protocol=leave_one_out")
    query = photos / split.query.names[4]
    rest = [split.gallery.names[i] for i in ranking.indices[4]]
    result = search_for(saved, cache, query, n=1 + ranking.depth)
    assert hit_names(result, query) == [split.query.names[4], *rest]


def test_relative_paths_are_relative_to_the_folder_of_the_run(photos, cache, monkeypatch, tmp_path):
    monkeypatch.chdir(photos.parent)
    saved, split, _ = create_run(Path("photos"), Path("cache"), *PLAIN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    query = Path("..", "photos", split.gallery.names[0])
    result = search_for(saved, cache, query)
    (hits,) = result.hits.values()
    assert hits[0].path == photos / split.gallery.names[0]
    from_source = search_for(replace(saved, root=None), cache, query)  # reads below `data.root`
    assert np.array_equal(from_source.images.read(3), result.images.read(3))
    assert Path.cwd() == tmp_path / "elsewhere"


def test_unreadable_queries_are_reported_and_excluded(photos, cache, tmp_path):
    saved, split, _ = create_run(photos, cache, *PLAIN)
    broken, empty = tmp_path / "broken.jpg", tmp_path / "empty.jpg"
    broken.write_bytes(b"no photo")
    empty.touch()
    query = photos / split.query.names[0]
    result = search_for(saved, cache, broken, query, empty, tmp_path / "missing.jpg")
    assert list(result.hits) == [query]
    assert set(result.unreadable) == {broken, empty, tmp_path / "missing.jpg"}
    assert result.unreadable[empty] == "is empty"
    assert str(tmp_path) not in "".join(result.unreadable.values())
    assert search_for(saved, cache, broken, empty).hits == {}


def test_gallery_without_files_is_read_by_its_source(photos, cache):
    saved, split, ranking = create_run(photos, cache, *PLAIN)
    query = photos / split.query.names[0]
    result = search_for(replace(saved, root=None), cache, query, n=2)
    assert hit_names(result, query) == [split.gallery.names[i] for i in ranking.indices[0, :2]]
    assert [hit.path for hit in result.hits[query]] == [None, None]
    assert np.array_equal(result.images.read(3), split.gallery.read(3))


def test_saved_run_has_no_password(photos, cache):
    uri = "http://me:hunter2@tracking.example/x@y"
    config = config_for(photos, cache, *PLAIN, f"tracking.uri={uri}")
    saved = SavedRun.create(
        config, toy_split([0, 1], [0, 1]), run_id=RUN_ID, name="toy run", uri=uri
    )
    saved.save(cache)
    (path,) = (cache / FOLDER).glob("*.json")
    assert "hunter2" not in path.read_text()
    assert find_saved_run(cache, "last", uri=uri).uri == "http://tracking.example/x@y"


def test_without_labels(photos, cache):
    saved, split, _ = create_run(photos, cache, *PLAIN)
    query = photos / split.query.names[0]
    saved = replace(saved, train=replace(saved.train, labels=None))
    saved = replace(saved, gallery=replace(saved.gallery, labels=None, classes=()))
    result = search_for(saved, cache, query, n=2)
    assert [hit.label for hit in result.hits[query]] == [None, None]
    assert to_table(result).splitlines()[1].split() == ["score", "photo"]


def test_files_in_a_folder_of_queries(tmp_path, capsys):
    for name in ("b", "a.jpg", "notes.txt", "@eaDir/a.jpg", ".DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xd8\xff" if name == "b" else b"x")
    assert list_queries([str(tmp_path)]) == (tmp_path / "a.jpg", tmp_path / "b")
    assert capsys.readouterr().err == (
        f"excluded from {tmp_path}: 1 file without an image, first notes.txt (not an image) and "
        "2 files hidden or of the system, first .DS_Store (hidden)\n"
    )

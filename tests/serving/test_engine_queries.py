"""Whatever the method: a search finds what the run has found."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from outliers_bench.apps.search.output import to_table
from outliers_bench.errors import BenchError
from outliers_bench.serving.engine import search
from outliers_bench.serving.queries import list_queries, open_queries
from outliers_bench.serving.saved_run import FOLDER, SavedRun, find_saved_run
from tests.serving.photos import RUN_ID, config_for, encoded_photos, create_run, write_photos
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


def found(card, cache, *paths, n=10):
    return search(
        card, open_queries(list_queries(list(map(str, paths))), cache=cache), n=n, cache=cache
    )


def names(answer, path):
    return [hit.name for hit in answer.hits[Path(path)]]


@pytest.mark.parametrize("overrides", CASES)
def test_finds_what_the_run_has_found(overrides, photos, cache):
    _, split, ranking = create_run(photos, cache, *overrides)
    card = find_saved_run(cache, RUN_ID[:6], uri="")
    queries = [photos / name for name in split.query.names]
    together = found(card, cache, *queries, n=ranking.depth)
    alone = found(card, cache, queries[1], n=3)
    for row, query in enumerate(queries):
        best_first = [split.gallery.names[i] for i in ranking.indices[row]]
        assert names(together, query) == best_first
        scores = [hit.score for hit in together.hits[query]]
        assert scores == [float(score) for score in ranking.scores[row]]
        for hit in together.hits[query]:
            assert hit.path == photos / hit.name
            assert hit.label == hit.name.partition("/")[0]
    assert names(alone, queries[1]) == names(together, queries[1])[:3]
    again = [hit.score for hit in alone.hits[queries[1]]]
    assert np.allclose(again, ranking.scores[1, :3], rtol=1e-5)


def test_a_new_photo_a_photo_of_the_gallery_and_one_that_was_learned_from(photos, cache, tmp_path):
    card, split, _ = create_run(photos, cache, *PLAIN, "pca.n=5")
    in_gallery = photos / split.gallery.names[2]
    learned_from = photos / split.train.names[0]
    elsewhere = tmp_path / "copy of it.png"
    shutil.copy(in_gallery, elsewhere)
    new = tmp_path / "kind-9" / "new.png"
    new.parent.mkdir()
    new.write_bytes(encoded_photos()[split.query.names[0]] + b"another content, the same pixels")
    answer = found(card, cache, in_gallery, learned_from, elsewhere, new)
    for asked in (in_gallery, elsewhere):
        assert names(answer, asked)[0] == split.gallery.names[2]
        assert answer.hits[asked][0].score == pytest.approx(1)
    assert learned_from in answer.hits
    same = found(card, cache, photos / split.query.names[0])
    assert names(answer, new) == names(same, photos / split.query.names[0])
    assert names(found(card, cache, learned_from), learned_from) == names(answer, learned_from)


def test_what_is_gone_or_changed_is_told_and_left_out_and_what_is_new_not_searched(photos, cache):
    card, split, ranking = create_run(photos, cache, *PLAIN)
    query = photos / split.query.names[0]
    order = [split.gallery.names[i] for i in ranking.indices[0]]
    gone, changed = order[0], order[2]
    (photos / gone).unlink()
    (photos / changed).write_bytes(encoded_photos()[order[1]])
    (photos / "kind-0" / "added.png").write_bytes(encoded_photos()[split.query.names[0]])
    answer = found(card, cache, query, n=4)
    assert answer.unavailable == {
        gone: "no such file or directory",
        changed: "has another content than in the run",
    }
    assert names(answer, query) == [name for name in order if name not in (gone, changed)][:4]


def test_a_gallery_that_is_gone_altogether_is_told(photos, cache, tmp_path):
    card, _, _ = create_run(photos, cache, *PLAIN)
    asked = tmp_path / "asked.png"
    asked.write_bytes(encoded_photos()["kind-0/0.png"])
    photos.rename(tmp_path / "moved")
    with pytest.raises(BenchError, match=r"none of the .* where it was .*photos\); put them back"):
        found(card, cache, asked)


def test_features_that_are_gone_are_computed_again(photos, cache):
    card, split, ranking = create_run(photos, cache, *PLAIN)
    shutil.rmtree(cache / "features")
    query = photos / split.query.names[0]
    assert names(found(card, cache, query, n=3), query) == [
        split.gallery.names[i] for i in ranking.indices[0, :3]
    ]


def test_leave_one_out_finds_the_photo_itself_and_then_what_the_run_has_found(photos, cache):
    card, split, ranking = create_run(photos, cache, *PLAIN, "data.protocol=leave_one_out")
    query = photos / split.query.names[4]
    rest = [split.gallery.names[i] for i in ranking.indices[4]]
    answer = found(card, cache, query, n=1 + ranking.depth)
    assert names(answer, query) == [split.query.names[4], *rest]


def test_relative_paths_count_from_where_the_run_was_started(photos, cache, monkeypatch, tmp_path):
    monkeypatch.chdir(photos.parent)
    card, split, _ = create_run(Path("photos"), Path("cache"), *PLAIN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    asked = Path("..", "photos", split.gallery.names[0])
    answer = found(card, cache, asked)
    (hits,) = answer.hits.values()
    assert hits[0].path == photos / split.gallery.names[0]
    of_source = found(replace(card, root=None), cache, asked)  # whose photos `data.root` finds
    assert np.array_equal(of_source.images.read(3), answer.images.read(3))
    assert Path.cwd() == tmp_path / "elsewhere"


def test_unreadable_ones_are_told_and_the_others_searched(photos, cache, tmp_path):
    card, split, _ = create_run(photos, cache, *PLAIN)
    broken, empty = tmp_path / "broken.jpg", tmp_path / "empty.jpg"
    broken.write_bytes(b"no photo")
    empty.touch()
    query = photos / split.query.names[0]
    answer = found(card, cache, broken, query, empty, tmp_path / "missing.jpg")
    assert list(answer.hits) == [query]
    assert set(answer.unreadable) == {broken, empty, tmp_path / "missing.jpg"}
    assert answer.unreadable[empty] == "is empty"
    assert str(tmp_path) not in "".join(answer.unreadable.values())
    assert found(card, cache, broken, empty).hits == {}


def test_a_gallery_that_is_not_made_of_files_is_read_by_its_source(photos, cache):
    card, split, ranking = create_run(photos, cache, *PLAIN)
    query = photos / split.query.names[0]
    answer = found(replace(card, root=None), cache, query, n=2)
    assert names(answer, query) == [split.gallery.names[i] for i in ranking.indices[0, :2]]
    assert [hit.path for hit in answer.hits[query]] == [None, None]
    assert np.array_equal(answer.images.read(3), split.gallery.read(3))


def test_a_card_holds_no_password(photos, cache):
    uri = "http://me:hunter2@tracking.example/x@y"
    config = config_for(photos, cache, *PLAIN, f"tracking.uri={uri}")
    card = SavedRun.create(config, toy_split([0, 1], [0, 1]), run_id=RUN_ID, name="toy run", uri=uri)
    card.save(cache)
    (kept,) = (cache / FOLDER).glob("*.json")
    assert "hunter2" not in kept.read_text()
    assert find_saved_run(cache, "last", uri=uri).uri == "http://tracking.example/x@y"


def test_without_labels(photos, cache):
    card, split, _ = create_run(photos, cache, *PLAIN)
    query = photos / split.query.names[0]
    card = replace(card, train=replace(card.train, labels=None))
    card = replace(card, gallery=replace(card.gallery, labels=None, classes=()))
    answer = found(card, cache, query, n=2)
    assert [hit.label for hit in answer.hits[query]] == [None, None]
    assert to_table(answer).splitlines()[1].split() == ["score", "photo"]

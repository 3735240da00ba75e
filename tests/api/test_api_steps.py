"""The steps of a run, one at a time, and recorded runs: the same figures as one call."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

import outliers_bench as ob
from outliers_bench.evaluation.paired import compare_with_best
from tests.command_line import in_process
from tests.recorded_runs import runs

PIXELS = {"model": "pixels", "image_size": 8}


@pytest.mark.parametrize(
    ("data", "search"),
    [
        ({}, {"pca": 6}),
        ({"protocol": "leave_one_out"}, {"metric": "euclidean"}),
        ({"seed": 3}, {"index": "kd_tree", "rerank": "alpha_qe", "seed": 3}),
    ],
)
def test_steps_give_the_ranking_of_a_run(data, search, photos):
    split = ob.load_split(photos, **data)
    embeddings = ob.embed(split, **PIXELS)
    assert embeddings.matrix.shape == (96, 192)
    ranking = ob.search(embeddings, split, **search)
    result = ob.run(photos, **PIXELS, k=[1, 5], **(data | search))
    shown = result.ranking.depth
    assert shown < ranking.depth == split.exclusion.max_depth
    assert np.array_equal(ranking.indices[:, :shown], result.ranking.indices)
    assert np.array_equal(ranking.scores[:, :shown], result.ranking.scores)
    few = ob.search(embeddings, split, n=3, **search)
    assert np.array_equal(few.indices, ranking.indices[:, :3])
    found = ob.evaluate(ranking, split, k=[1, 5], seed=search.get("seed", 0))
    pd.testing.assert_frame_equal(found.frame(), result.frame())


def test_a_ranking_that_takes_most_of_the_memory_is_not_the_default(photos, monkeypatch):
    split = ob.load_split(photos, protocol="leave_one_out")
    embeddings = ob.embed(split, **PIXELS)
    depth = ob.search(embeddings, split).depth
    monkeypatch.setattr("outliers_bench.api.steps.total_memory", lambda: 2 * 96 * depth * 12 - 1)
    with pytest.raises(ob.BenchError, match=rf"need {depth} hits of each query.* KiB .*give n="):
        ob.search(embeddings, split)
    assert ob.search(embeddings, split, n=12).depth == 12


@pytest.mark.parametrize("search", [{"metric": "euclidean"}, {"pca": 3}, {"rerank": "spatial"}])
def test_photos_without_keypoints_rank_last_in_steps_too(search, images, table):
    images = images.copy()
    images[::7] = 90  # flat
    images[::7, 0, 0, 0] = np.arange(len(images[::7]))  # of different contents
    small = {"model.words": 4, "model.max_keypoints": 20}
    labels = table["label"]
    split = ob.load_split(images, labels=labels)
    embeddings = ob.embed(split, "sift_vlad", options=small)
    assert len(embeddings.blank) >= 10
    ranking = ob.search(embeddings, split, **search)
    result = ob.run(images, labels=labels, model="sift_vlad", options=small, **search)
    shown = result.ranking.depth
    assert shown < ranking.depth == split.exclusion.max_depth
    assert np.array_equal(ranking.indices[:, :shown], result.ranking.indices)
    assert np.array_equal(ranking.scores[:, :shown], result.ranking.scores)
    few = ob.search(embeddings, split, n=3, **search)
    assert np.array_equal(few.indices, ranking.indices[:, :3])


def test_embeddings_of_a_part_do_not_fit_a_split(photos):
    split = ob.load_split(photos)
    embeddings = ob.embed(split, **PIXELS)
    few = ob.Embeddings(embeddings.images.take([0, 1]), embeddings.matrix[:2])
    with pytest.raises(ob.BenchError, match="the embeddings has no vector for 94 of 96 photos"):
        ob.search(few, split)
    with pytest.raises(ob.BenchError, match="for 96 images"):
        ob.Embeddings(embeddings.images, embeddings.matrix[:2])
    with pytest.raises(ob.BenchError, match="n=0: from 1 to"):
        ob.search(embeddings, split, n=0)
    ranking = ob.search(embeddings, split, n=2)
    whole = ob.Embeddings(embeddings.images, np.int64(embeddings.matrix * 255))
    assert np.array_equal(ob.search(whole, split, n=2).indices, ranking.indices)


def test_a_model_without_embeddings_or_a_damaged_photo_is_an_error(photos, table, tmp_path):
    with pytest.raises(ob.BenchError, match="model=sift has no embedding"):
        ob.embed(ob.load_split(photos), "sift")
    with pytest.raises(ob.BenchError, match="search reduces them"):
        ob.embed(ob.load_split(photos), **PIXELS, options={"pca.n": 4})
    (tmp_path / "damaged.png").write_bytes(b"not an image")
    frame = pd.concat(
        [table, pd.DataFrame({"path": [str(tmp_path / "damaged.png")], "label": "x"})]
    )
    split = ob.load_split(frame)
    with pytest.raises(ob.BenchError, match=r"1 of 97 images cannot be read \(.*damaged.png: "):
        ob.embed(split, **PIXELS)


@pytest.fixture
def pair(photos):
    """Results of two methods, the second clearly better."""
    worse = ob.run(photos, model="pixels", image_size=1, k=[1], protocol="leave_one_out")
    return worse, ob.run(photos, **PIXELS, k=[1], protocol="leave_one_out", pca=20)


def test_results_are_compared_like_runs_on_the_leaderboard(pair, table):
    frame = ob.compare(pair)
    assert frame["rank"].tolist() == [1, 2]
    assert frame["variant"].tolist() == ["8px", "1px"]
    assert frame["reduction"].tolist() == ["PCA 20", "none"]
    best, worse = (result.metrics["hit_at_1"] for result in reversed(pair))
    assert frame["hit_at_1"].tolist() == [best, worse]
    assert frame["difference"].tolist() == pytest.approx([0, worse - best])
    assert frame.loc[1, "p"] < 0.05
    assert not frame.loc[1, "tied"]
    intervals = pair[1].evaluation.intervals["hit_at_1"]
    assert tuple(frame.loc[0, ["low", "high"]]) == intervals
    by_speed = ob.compare(pair, metric="search_ms_per_query")
    assert by_speed["search_ms_per_query"].is_monotonic_increasing
    same = ob.compare([pair[1], pair[1]])
    assert same["rank"].tolist() == [1, 1]
    # The same photos under other names are the same queries.
    other = ob.run(table, model="pixels", image_size=1, k=[1], protocol="leave_one_out")
    frame = ob.compare([other, pair[1]])
    assert frame.loc[1, "p"] < 0.05


def test_results_are_compared_over_their_clusters_and_by_class_balanced_means(pair, photos):
    assert ob.compare(pair).attrs["cluster"] == "query"
    by_label = {"statistics.cluster": "label"}
    options = {"k": [1], "protocol": "leave_one_out", "options": by_label}
    labeled = [ob.run(photos, model="pixels", image_size=1, **options)]
    frame = ob.compare([*labeled, pair[1]])
    evaluation = pair[1].evaluation
    assert (frame.attrs["cluster"], frame.attrs["clusters"]) == ("label", 4)
    values = [each.evaluation.per_query["hit_at_1"] for each in (pair[1], *labeled)]
    ids = pair[1].split.query.labels[evaluation.scored]
    expected = compare_with_best(np.stack(values), clusters=ids)
    assert frame.loc[1, "p"] == expected.adjusted[1]
    assert frame.attrs["smallest_difference"] is None  # of four clusters
    balanced = ob.compare(pair, metric="balanced/hit_at_1")
    assert balanced.loc[0, "balanced/hit_at_1"] == evaluation.balanced["hit_at_1"]
    assert tuple(balanced.loc[0, ["low", "high"]]) == evaluation.intervals["balanced/hit_at_1"]
    assert evaluation.frame().loc["hit_at_1", "balanced"] == evaluation.balanced["hit_at_1"]


def test_an_evaluation_resamples_the_clusters_that_are_given(photos):
    split = ob.load_split(photos, protocol="leave_one_out")
    ranking = ob.search(ob.embed(split, **PIXELS), split)
    by_query, by_label = (ob.evaluate(ranking, split, cluster=c) for c in ("auto", "label"))
    assert (by_query.clusters.unit, by_label.clusters.n) == ("query", 4)
    assert by_query.metrics == by_label.metrics
    widths = [np.ptp(each.intervals["hit_at_1"]) for each in (by_query, by_label)]
    assert widths[0] < widths[1]
    with pytest.raises(ob.BenchError, match=r"statistics\.cluster=animal: .*no such column"):
        ob.evaluate(ranking, split, cluster="animal")


def test_runs_that_cannot_be_compared_are_refused(pair, photos):
    other = ob.run(photos, **PIXELS, k=[1], seed=1)
    with pytest.raises(ob.BenchError, match="different splits"):
        ob.compare([*pair, other])
    with pytest.raises(ob.BenchError, match="has no metric hit_at_9; it has hit_at_1, "):
        ob.compare(pair, metric="hit_at_9")
    with pytest.raises(ob.BenchError, match="nothing to compare"):
        ob.compare([])
    with pytest.raises(ob.BenchError, match="Evaluation cannot be compared"):
        ob.compare([*pair, other.evaluation])
    assert ob.compare(other)["rank"].tolist() == [1]


def test_a_recorded_run_is_compared_and_searched(photos, desk, capfd, monkeypatch):
    result = ob.run(photos, **PIXELS, k=[1], record=True)
    assert capfd.readouterr().out == ""
    assert (desk / "mlflow.db").exists()
    other = ob.run(photos, model="pixels", image_size=2, k=[1])
    frame = ob.compare([other, "last"])
    assert sorted(frame["variant"]) == ["2px", "8px"]
    assert frame["p"].notna().all()
    assert set(frame["hit_at_1"]) == {r.metrics["hit_at_1"] for r in (result, other)}

    engine = ob.open_run("last")
    photo = photos / result.split.gallery.names[3]
    hits = engine.query([photo], n=2).frame()
    assert hits.loc[0, "path"] == photo
    assert hits.loc[0, "score"] == pytest.approx(1, abs=1e-6)
    assert hits["rank"].tolist() == [1, 2]
    assert engine.query(photo, n=2).frame().equals(engine.query(str(photo), n=2).frame())
    with pytest.raises(ob.BenchError, match=r"none of the photos .* can be read \(.*gone.jpg"):
        engine.query(["gone.jpg"])
    with pytest.raises(ob.BenchError, match="n=0"):
        engine.query([photo], n=0)
    with pytest.raises(ob.BenchError, match="has finished already"):
        ob.run(photos, **PIXELS, k=[1], record=True, options={"skip_finished": True})
    (run,) = runs(desk)
    words = shlex.split(run.data.tags["overrides"])
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", "other")
    again = in_process(monkeypatch, capfd, *words, "skip_finished=true")
    assert "finished     already" in again.out


SCRIPT = """
from pathlib import Path

import numpy as np
import pandas as pd

import outliers_bench as ob

result: ob.Result = ob.run("photos/", model="mobilenetv2", pca=256, record=False)
other = ob.run(
    Path("photos"), model="pixels", index="exact", rerank="k_reciprocal", weights=None,
    options={"model.image_size": 160, "data.train": 0.5},
)
images = np.zeros((4, 9, 9, 3), np.uint8)
arrays = ob.run(images, labels=["a", "b", "a", "b"], model="pixels", k=[1])
listed = ob.run(list(images), labels=pd.DataFrame({"label": [1, 2, 1, 2]}), model="pixels")
table = ob.run(pd.DataFrame({"path": ["a.jpg"], "label": ["a"]}), model="pixels")
vectors = ob.run(np.zeros((4, 8), np.float32), labels=[1, 2, 1, 2], metric="euclidean")
split = ob.load_split("photos/", protocol="leave_one_out", seed=0)
embeddings: ob.Embeddings = ob.embed(split, "mobilenetv2")
ranking = ob.search(embeddings, split, index="exact", metric="cosine")
frame: pd.DataFrame = ob.evaluate(ranking, split, k=[1, 5, 10]).frame()
board: pd.DataFrame = ob.compare([result, other, "last"], metric="map_at_r")
engine = ob.open_run("last")
for photo, hits in engine.query(["bird.jpg"], n=10).hits.items():
    name: str = hits[0].name
number: float = result.metrics["hit_at_1"]
result.show()
try:
    ob.run("nowhere")
except ob.BenchError as error:
    text: str = str(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mypy") is None, reason="without mypy")
@pytest.mark.parametrize("wrong", ["", 'ob.run("photos/", modle="pixels")\n', "ob.rum\n"])
def test_a_script_that_uses_the_whole_api_is_checked_by_mypy(wrong, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT + wrong)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "script.py"]
    command += ["--cache-dir", str(tmp_path.parent / "mypy")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("script.py")]
    assert bool(lines) == bool(wrong), done.stdout

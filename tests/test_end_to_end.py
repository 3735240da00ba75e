"""The command line on small images: recorded results, reuse, sweeps, failures."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.recorded_runs import NETWORK, SMALL, recorded_run, run_cli, runs, scores


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    """Working directory with a tracking store shared by all tests; creating a store takes 7 s."""
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="module")
def first(workdir):
    """A run of raw pixels."""
    return run_cli(workdir, *SMALL, "model=pixels", "k=[1,5]")


def test_run_prints_and_records_results(workdir, first):
    done = first
    assert done.code == 0, done.err
    assert done.err == "", "no progress bars without a terminal, no messages of libraries"
    for text in ("pixels", "MAP@R", "images/s", "pictures", "mlflow ui"):
        assert text in done.out
    run = recorded_run(workdir, done)
    assert run.info.status == "FINISHED"
    metrics = run.data.metrics
    for name in (
        *("hit_at_1", "hit_at_5", "precision_at_5", "map_at_r", "r_precision", "mrr"),
        *("images_per_second", "search_ms_per_query", "index_bytes", "peak_memory_bytes"),
        *("seconds_load", "seconds_decode", "seconds_embed", "seconds_fit"),
        *("seconds_index", "seconds_search"),
    ):
        assert name in metrics, name
    low, high = (metrics[f"ci95/hit_at_1_{end}"] for end in ("low", "high"))
    assert 0 <= low <= metrics["hit_at_1"] <= high <= 1
    assert low < high
    assert metrics["features_computed"] == 96
    assert run.data.params["model.name"] == "pixels"
    assert run.data.params["k"] == "[1, 5]"
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    names = {path.relative_to(artifacts).as_posix() for path in artifacts.rglob("*.*")}
    assert {"config.yaml", "ranking.parquet", "per_class.csv", "pictures/worst.jpg"} <= names
    assert "pictures/cmc.svg" in names
    cmc = pd.read_csv(artifacts / "cmc.csv", index_col="k")
    for k in (1, 5):
        ends = (run.data.metrics[f"ci95/hit_at_{k}_{end}"] for end in ("low", "high"))
        expected = [run.data.metrics[f"hit_at_{k}"], *ends, run.data.metrics[f"chance/hit_at_{k}"]]
        assert cmc.loc[k, ["rates", "low", "high", "chance"]].tolist() == pytest.approx(expected)
    ranking = pd.read_parquet(artifacts / "ranking.parquet")
    top = ranking[ranking["rank"] == 1]
    assert top["relevant"].mean() == pytest.approx(metrics["hit_at_1"])


@pytest.mark.slow
def test_equal_runs_have_equal_scores(workdir):
    first, second = (
        recorded_run(workdir, run_cli(workdir, *SMALL, "model=pixels")) for _ in range(2)
    )
    assert scores(first) == scores(second)
    assert first.data.tags["identity"] == second.data.tags["identity"]
    assert second.data.metrics["features_computed"] == 0


@pytest.mark.slow
def test_run_on_new_photos_does_not_import_tensorflow(workdir):
    run_cli(workdir, *SMALL, *NETWORK)
    more = run_cli(workdir, *SMALL, "data.images=9", *NETWORK, PYTHONPROFILEIMPORTTIME="1")
    assert more.code == 0
    metrics = recorded_run(workdir, more).data.metrics
    assert (metrics["features_computed"], metrics["features_reused"]) == (12, 96)
    imported = set(re.findall(r"\|\s+([\w.]+)$", more.err, flags=re.MULTILINE))
    assert "openvino" in imported
    assert not imported & {"tensorflow", "keras"}


@pytest.mark.slow
def test_sweep_has_one_parent_and_trees_agree_with_exact_search(workdir):
    done = run_cli(
        workdir,
        "-m",
        *SMALL,
        "model=pixels",
        "seed=7",
        "pca.n=null,8",
        "index=exact,kd_tree,ball_tree",
        "tracking.experiment=swept",
    )
    assert done.code == 0, done.err
    swept = [
        r for r in runs(workdir) if r.data.params.get("seed") == "7" or "sweep" in r.info.run_name
    ]
    (parent,) = (run for run in swept if "sweep" in run.info.run_name)
    children = [run for run in swept if run is not parent]
    assert len(children) == 6
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in swept} == {"FINISHED"}
    for components in ("None", "8"):
        same_pca = [run for run in children if run.data.params["pca.n"] == components]
        assert len(same_pca) == 3
        first = scores(same_pca[0])
        assert all(scores(run) == pytest.approx(first, abs=1e-9) for run in same_pca)


@pytest.mark.slow
def test_keypoints_and_embeddings_in_one_sweep(workdir):
    """Keypoint matching warns of the PCA, and reuses the stored keypoints."""
    done = run_cli(
        workdir,
        # -m is accepted in any position.
        *(*SMALL[:-1], "data.size=64", "-m", "model=pixels,sift", "pca.n=2,4", "k=[1]"),
        *("rerank=none", "tracking.experiment=keypoints"),
    )
    assert done.code == 0, done.err
    assert "pca.n=4 has no effect" in done.out
    sift = [run for run in runs(workdir, "tags.model = 'sift'") if run.data.tags["kind"] == "run"]
    assert len(sift) == 2
    assert {run.data.tags["reduction"] for run in sift} == {"none"}
    assert {run.data.metrics["features_computed"] for run in sift} == {0, 96}
    assert scores(sift[0]) == scores(sift[1])
    assert "images_without_keypoints" in sift[0].data.metrics
    pictures = Path(sift[0].info.artifact_uri.removeprefix("file://")) / "pictures"
    assert (pictures / "matches.jpg").stat().st_size


def test_sweep_skips_finished_runs_and_continues_after_failures(workdir, first):
    assert first.code == 0, first.err
    before = {run.info.run_id for run in runs(workdir)}
    done = run_cli(
        *(
            workdir,
            "-m",
            *SMALL,
            "model=pixels",
            "k=[1,5]",
            "pca.n=null,9999,4",
            "skip_finished=true",
        )
    )
    assert done.code == 1, done.err
    assert re.search(r"error in .*pca\.n=9999.*too large", done.err)
    assert "Traceback" not in done.err
    new = [run for run in runs(workdir) if run.info.run_id not in before]
    (parent,) = (run for run in new if run.data.tags["kind"] == "sweep")
    jobs = [run for run in new if run is not parent]
    by_job = {run.data.tags["overrides"].rpartition("pca.n=")[2].split()[0]: run for run in jobs}
    assert set(by_job) == {"4", "9999"}, "the finished run is skipped"
    assert by_job["4"].info.status == "FINISHED"
    assert by_job["9999"].info.status == "FAILED"
    assert "too large" in by_job["9999"].data.tags["failure"]
    assert {run.data.tags["mlflow.parentRunId"] for run in by_job.values()} == {parent.info.run_id}


@pytest.mark.slow  # mostly covered by the sweep above
def test_skip_finished(workdir):
    arguments = (*SMALL, "model=pixels", "seed=11", "skip_finished=true")
    assert "MAP@R" in run_cli(workdir, *arguments).out
    before = len(runs(workdir))
    again = run_cli(workdir, *arguments)
    assert again.code == 0
    assert len(runs(workdir)) == before
    assert len(runs(workdir, "params.seed = '11'")) == 1
    run_cli(workdir, *arguments, "pca.n=3")
    assert len(runs(workdir)) == before + 1


def test_unlabeled_photos_are_ranked_but_not_scored(workdir, tmp_path):
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    for part, count in (("query", 3), ("gallery", 12)):
        (tmp_path / "competition" / part).mkdir(parents=True)
        for i in range(count):
            photo = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "competition" / part / f"{i}.png"), photo)
    done = run_cli(
        workdir, "data=prepared", f"data.root={tmp_path}/competition", "model=pixels", "k=[1,5]"
    )
    assert done.code == 0, done.err
    run = recorded_run(workdir, done)
    assert "hit_at_1" not in run.data.metrics
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert pd.read_parquet(artifacts / "ranking.parquet")["query"].nunique() == 3


@pytest.mark.slow  # covered by the contract tests, without the command line
def test_unreadable_photos_are_counted_or_an_error(workdir, tmp_path):
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    for animal in ("ant", "bee"):
        (tmp_path / "photos" / animal).mkdir(parents=True)
        for i in range(20):
            photo = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "photos" / animal / f"{i}.png"), photo)
    broken = tmp_path / "photos" / "ant" / "3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    folder = ("data=folder", f"data.root={tmp_path}/photos", "model=pixels", "k=[1]")
    done = run_cli(workdir, *folder)
    assert done.code == 2, done.err
    assert re.search(r"1 of 40 images .*ant/3\.png.*data\.max_unreadable", done.err)
    done = run_cli(workdir, *folder, "data.max_unreadable=0.1")
    assert done.code == 0, done.err
    run = recorded_run(workdir, done)
    assert run.data.metrics["images_unreadable"] == 1
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert "ant/3.png" in (artifacts / "excluded.csv").read_text()


@pytest.mark.slow
def test_working_directory_with_blanks_and_umlauts(tmp_path):
    workdir = tmp_path / "Größe der Bären"
    workdir.mkdir()
    done = run_cli(workdir, *SMALL, "model=pixels", "contact_sheets.queries=1")
    assert done.code == 0, done.err
    assert (workdir / "mlflow.db").exists()
    pictures = next(line for line in done.out.splitlines() if line.startswith("pictures"))
    assert (Path(pictures.removeprefix("pictures").strip()) / "worst.jpg").is_file()

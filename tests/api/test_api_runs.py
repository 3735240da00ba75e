"""`ob.run` and `ob.load_split`: the figures of the command line, and no traces."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import outliers_bench as ob
from outliers_bench.reports.terminal import format_metrics
from tests.command_line import in_process

PIXELS = {"model": "pixels", "image_size": 8, "k": [1, 5]}


def scores(result):
    return result.evaluation.metrics


def test_the_figures_are_those_of_the_command_line(photos, monkeypatch, capsys):
    result = ob.run(photos, **PIXELS, pca=6, rerank="k_reciprocal", options={"rerank.k1": 4})
    words = ("data=folder", f"data.root={photos}", "model=pixels", "model.image_size=8", "k=[1,5]")
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", "other")
    words = (*words, "pca.n=6", "rerank=k_reciprocal", "rerank.k1=4")
    done = in_process(monkeypatch, capsys, *words)
    assert done.code == 0, done.err
    evaluation = result.evaluation
    lines = format_metrics(evaluation.metrics, evaluation.intervals)
    assert str(result).splitlines()[0] in done.out.splitlines()
    assert "\n".join(lines) in done.out


def test_a_run_prints_and_leaves_nothing(photos, desk, capfd):
    ob.run(photos, **PIXELS, progress=True)
    assert capfd.readouterr() == ("", "")
    assert list(desk.iterdir()) == []


def test_another_program_that_uses_hydra_is_not_disturbed(photos, tmp_path):
    (tmp_path / "mine.yaml").write_text("answer: 42\n")
    with initialize_config_dir(str(tmp_path), version_base="1.2"):
        members = {"model.members": ["pixels", "pixels image_size=8"]}
        ob.run(photos, model="ensemble", k=[1], options=members)
        with pytest.raises(ob.BenchError):
            ob.run(photos, model="nope")
        assert compose("mine").answer == 42
    ob.load_split(photos)
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "nope"}, "model=nope: no such option (available: "),
        ({"model": "pixels", "image_size": 0}, "model.image_size=0 must be 1 or more"),
        ({"model": "pixels", "pca": 10_000}, "pca.n=10000"),
        ({"model": "pixels", "options": {"model.sides": 3}}, "model.sides: no such option"),
        ({"options": {"pca.n": "many"}}, "pca.n=many"),
        ({"pca": 3, "options": {"pca.n": 4}}, "pca.n is given twice"),
        ({"options": {"seed": object()}}, "cannot be an option"),
        ({"labels": [1, 2]}, "labels= are for arrays"),
        ({"model": [[1.0, 2.0]]}, "the model is a list; give a name, a matrix or a DataFrame"),
    ],
)
def test_errors_are_those_of_the_command_line(arguments, message, photos):
    with pytest.raises(ob.BenchError) as error:
        ob.run(photos, **{"k": [1], "model": "pixels", **arguments})
    assert message in str(error.value).replace("'", "")
    assert "\n" not in str(error.value)


def test_data_that_is_nothing_known_is_an_error():
    with pytest.raises(ob.BenchError, match=r"nowhere: neither a folder .* nor a data set"):
        ob.run("nowhere")
    for wrong in (5, [], np.zeros(())):
        with pytest.raises(ob.BenchError, match="data: a "):
            ob.run(wrong, labels=[])


@pytest.mark.parametrize("name", ["it's a 'test'", "a\\", "a\\'b", "a=b,c [d] {e} é", "null", "1"])
def test_any_text_reaches_an_option(name, photos):
    split = ob.load_split(photos, options={"data.name": name})
    assert split.name == name


def test_all_kinds_of_data_give_the_same_figures(photos, table, images, matrix, desk):
    expected = scores(ob.run(photos, **PIXELS))
    assert scores(ob.run(table, **PIXELS)) == expected
    table.to_csv("table.csv", index=False)
    assert scores(ob.run("table.csv", **PIXELS)) == expected
    assert scores(ob.run(photos, model=matrix, k=[1, 5])) == expected
    frame = table[["path"]].assign(vector=list(matrix))
    result = ob.run(photos, model=frame, k=[1, 5], options={"model.name": "mine"})
    assert scores(result) == expected
    assert result.name.startswith("mine ")
    # Arrays have other digests than files, and so another split.
    parts = {part: set(getattr(ob.load_split(photos), part).names) for part in ("train", "query")}
    rows = [path.removeprefix(f"{photos}/") for path in table["path"]]
    part_of = [
        "train" if r in parts["train"] else "query" if r in parts["query"] else "gallery"
        for r in rows
    ]
    labels = table[["label"]].assign(split=part_of)
    assert scores(ob.run(images, labels=labels, **PIXELS)) == expected
    assert scores(ob.run(list(images), labels=labels, **PIXELS)) == expected
    only = ob.run(matrix, labels=labels, k=[1, 5])
    assert scores(only) == expected
    assert "data:image" not in only._repr_html_()
    assert [path.name for path in desk.iterdir()] == ["table.csv"]


def test_rows_of_a_matrix_are_those_of_the_table(photos, table, matrix):
    names = "./" + table["path"].str.removeprefix(f"{photos}/")
    results = [
        ob.run(frame, model=matrix, k=[1], options={"data.root": photos})
        for frame in (
            table,
            table.assign(path=names),
            table.assign(path=names.str.replace("/", "\\")),
        )
    ]
    assert scores(results[0]) == scores(results[1]) == scores(results[2])


def test_a_folder_of_parts_is_a_ready_split(photos, tmp_path):
    (tmp_path / "ready").mkdir()
    for part in ("query", "gallery"):
        (tmp_path / "ready" / part).symlink_to(photos)
    split = ob.load_split(tmp_path / "ready")
    assert (len(split.train), len(split.query), len(split.gallery)) == (0, 96, 96)


def test_load_split_takes_the_protocol(photos):
    split = ob.load_split(photos, protocol="leave_one_out", seed=0)
    assert len(split.query) == len(split.gallery) == 96
    assert ob.load_split(photos).fingerprint != ob.load_split(photos, seed=1).fingerprint


def test_a_result_shows_itself(photos, capsys):
    result = ob.run(photos, **PIXELS, pca=6)
    frame = result.frame()
    assert frame.loc["hit_at_1", "value"] == result.metrics["hit_at_1"]
    assert (frame["low"] <= frame["value"]).all()
    page = result._repr_html_()
    assert "pixels 8px · PCA 6 · exact · cosine" in page
    assert re.search(r"hit@1</td><td[^>]*>0\.\d+ \[0\.\d+, 0\.\d+\]", page)
    assert page.count("data:image/jpeg;base64") == 1
    assert set(result.sheets(queries=1, depth=2)) == {"best", "typical", "worst"}
    result.show()
    assert capsys.readouterr().out == f"{result}\n"
    assert repr(result) == f"<Result {result.name} on photos>"


def test_photos_without_labels_are_ranked_only(table):
    unlabeled = table.assign(split=["query", "gallery"] * 48, label="")
    result = ob.run(unlabeled, model="pixels", k=[1])
    assert "No labels" in str(result)
    assert "No labels" in result._repr_html_()
    with pytest.raises(ob.BenchError, match="has no labels"):
        result.frame()
    with pytest.raises(ob.BenchError, match="has no labels"):
        ob.evaluate(result.ranking, result.split)


def test_evaluate_scores_any_ranking(photos):
    result = ob.run(photos, **PIXELS)
    found = ob.evaluate(result.ranking, result.split, k=[1, 5])
    whole = result.frame()
    assert set(whole.index) - set(found.frame().index) <= {"map", "mrr", "minp"}
    pd.testing.assert_frame_equal(found.frame(), whole.loc[found.frame().index])
    top = ob.run(photos, **PIXELS).ranking
    unsigned = type(top)(top.indices.astype(np.uint64), top.scores)
    assert ob.evaluate(unsigned, result.split, k=[1, 5]).metrics == found.metrics
    short = type(top)(top.indices[:, :2], top.scores[:, :2])
    with pytest.raises(ob.BenchError, match="from 1 to 2"):
        ob.evaluate(short, result.split, k=[5])
    cut = ob.evaluate(short, result.split, k=[1]).metrics
    assert cut == {
        name: result.metrics[name] for name in ("hit_at_1", "precision_at_1", "map_at_1")
    }
    with pytest.raises(ob.BenchError, match="rows, and photos has"):
        ob.evaluate(type(top)(top.indices[1:], top.scores[1:]), result.split)
    for wrong in (top.indices + len(result.split.gallery), top.indices.astype(float)):
        with pytest.raises(ob.BenchError, match="give integers from 0 to"):
            ob.evaluate(type(top)(wrong, top.scores), result.split)
    split = ob.load_split(photos, protocol="leave_one_out")
    itself = type(top)(np.tile(np.arange(96), (96, 1)), np.zeros((96, 96), np.float32))
    with pytest.raises(ob.BenchError, match="has images that are excluded"):
        ob.evaluate(itself, split)


def test_the_hits_that_are_shown_do_not_change_the_scores():
    """The only relevant one of 24 images of noise is often beyond the tenth hit."""
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    options = {"labels": list(range(12)) * 2, "protocol": "leave_one_out"}
    few, many = (
        ob.run(images, **options, **PIXELS, options={"contact_sheets.depth": depth}).evaluation
        for depth in (2, 23)
    )
    assert 0 < few.metrics["mrr"] < 1
    assert 0 < few.per_query["mrr"].min() < 1 / 10
    assert few.metrics == many.metrics


def test_importing_the_package_imports_no_library():
    code = (
        "import sys, outliers_bench as ob; "
        "heavy = {'numpy', 'hydra', 'mlflow', 'pandas', 'omegaconf', 'tensorflow'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); "
        "assert set(ob.__all__) == set(dir(ob)); "
        "[getattr(ob, name) for name in ob.__all__]; "
        "assert not {'mlflow', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'rum'"):
        ob.rum  # noqa: B018


def test_validation_queries_and_the_others_have_their_scores_of_a_run_on_all(photos):
    def scores_by_name(**options):
        options = {f"data.{name}": value for name, value in options.items()}
        result = ob.run(photos, **PIXELS, options={**options, "data.query": 0.6})
        names = np.array(result.split.query.names)[result.evaluation.scored]
        return dict(zip(names, result.evaluation.per_query["map_at_r"], strict=True))

    every = scores_by_name()
    others = scores_by_name(validation=0.3)
    validation = scores_by_name(validation=0.3, evaluate="validation")
    assert len(validation) == round(0.3 * len(every))
    assert not set(validation) & set(others)
    assert validation | others == every

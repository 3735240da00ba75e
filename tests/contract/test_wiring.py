"""Wiring of methods: what is fitted on what, what is read, and what an ensemble reports."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.methods import build as building
from outliers_bench.methods import embedding
from outliers_bench.methods.method import ReusedIndex
from outliers_bench.runtime.meter import Meter
from tests.contract.method_cases import CASES, PHOTOS, build_method, query, split_of
from tests.toys import exclude_nothing

PIXELS = "'pixels image_size=16'"
FITTED = {
    "vlad, pca": CASES["vlad, pca"],
    "concatenated, pca": CASES["ensemble, concatenated"],
    "fused, pca": (*CASES["ensemble, ranks"], "pca.n=3"),
    "learned whitening": (*CASES["pixels"], "reduce=learned_whitening", "reduce.n=3"),
}


@pytest.fixture
def fitted(monkeypatch):
    """Record the images that each reduction and each source of embeddings is fitted on."""
    parts = {"reduction": [], "source": []}
    fit_or_load, build_source = embedding.fit_or_load, building.build_source

    def recorded_fit(reducer, part, **options):
        parts["reduction"].append(part)
        return fit_or_load(reducer, part, **options)

    def recorded_source(model, workspace):
        source = build_source(model, workspace)
        fit = source.fit

        def record(part, *arguments):
            parts["source"].append(part)
            return fit(part, *arguments)

        source.fit = record
        return source

    monkeypatch.setattr(embedding, "fit_or_load", recorded_fit)
    monkeypatch.setattr(building, "build_source", recorded_source)
    return parts


@pytest.mark.parametrize("overrides", FITTED.values(), ids=FITTED)
@pytest.mark.parametrize("with_train", [True, False])
def test_everything_is_fitted_on_train_or_else_on_the_gallery(
    overrides, with_train, tmp_path, fitted
):
    split = split_of(PHOTOS)
    if not with_train:
        if any("tuned" in option or "learned" in option for option in overrides):
            pytest.skip("learns from the labels of a train part")
        split = replace(split, train=split.train.take([]))
    method = build_method(overrides, tmp_path)
    method.extract(split.images)
    method.fit(split)
    expected = split.train if with_train else split.gallery
    for parts in fitted.values():
        assert expected.digests in {tuple(part.digests) for part in parts}
        # A tuned ensemble fits on a part of train, too.
        assert all(set(part.digests) <= set(expected.digests) for part in parts)


@pytest.mark.parametrize("overrides", CASES.values(), ids=CASES)
def test_what_is_read_is_read_once(overrides, tmp_path, monkeypatch):
    """A query that is the gallery loads no vectors again; another query loads only its own."""
    loaded = []
    build_source = building.build_source

    def recorded_source(model, workspace):
        source = build_source(model, workspace)
        load = source.load
        source.load = lambda images: loaded.append(images) or load(images)
        return source

    monkeypatch.setattr(building, "build_source", recorded_source)
    split = split_of(PHOTOS)
    method = build_method(overrides, tmp_path)
    method.extract(split.images)
    method.fit(split)
    index = ReusedIndex(method)
    loaded.clear()
    index(split.gallery).query(split.gallery, 3, exclude_nothing(split.gallery, split.gallery))
    assert all(images.digests == split.gallery.digests for images in loaded)
    sources = len(loaded)
    loaded.clear()
    same = split.gallery.take(range(len(split.gallery)))
    first = index(same).query(split.query, 3, split.exclusion)
    assert [images.digests for images in loaded] == [split.query.digests] * sources
    again = query(method, split, 3)
    assert np.array_equal(first.indices, again.indices)
    assert np.array_equal(first.scores, again.scores)
    assert index(split.query) is not index(split.gallery)


def test_an_ensemble_reports_the_lowest_recall_of_its_members():
    run = Meter()
    for recall in (0.9, 0.4, 0.7):
        run.absorb(Meter(recall_at_10=recall))
    assert run.recall_at_10 == 0.4


def test_the_recall_is_that_of_the_first_queries(tmp_path, monkeypatch):
    """It is measured by an exhaustive search, too slow for every query of a served gallery."""
    measured = []
    recall = embedding.recall_at_10
    monkeypatch.setattr(
        embedding,
        "recall_at_10",
        lambda *given, **more: measured.append(1) or recall(*given, **more),
    )
    split, meter = split_of(PHOTOS), Meter()
    method = build_method((*CASES["pixels"], "index=faiss_hnsw"), tmp_path, meter)
    method.extract(split.images)
    method.fit(split)
    search = method.index(split.gallery)
    for images in (split.query, split.query.take([0])):
        search.query(images, 3, exclude_nothing(images, split.gallery))
    assert meter.recall_at_10 is not None
    assert measured == [1]

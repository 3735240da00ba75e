"""Features averaged over views: normalized, cached by view, and never computed twice."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.data.decode import resize
from outliers_bench.engines.options import Engine
from outliers_bench.features.extract import Features
from outliers_bench.features.view_average import ViewAveragedFeatures
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.tta import Crops, Tta
from outliers_bench.runtime.meter import Meter
from tests.models.tta_toys import ALL_VIEWS, Corners, corners, photos, tta_features, unit


def test_the_embedding_is_the_normalized_mean_of_unit_vectors(tmp_path):
    model = Corners(tta=ALL_VIEWS)
    images = photos()
    features = tta_features(model, tmp_path)
    features.compute(images)
    embeddings = features.load(images).matrix
    assert embeddings.shape == (6, 12)
    assert embeddings.dtype == np.float32
    for row in range(6):
        vectors = []
        for size in (8, 4, 16):
            resized_size = round(size / 0.875)
            image, margin = resize(images.read(row), resized_size), resized_size - size
            for top, left in (
                (0, 0),
                (0, margin),
                (margin, 0),
                (margin, margin),
                (margin // 2, margin // 2),
            ):
                crop = image[top : top + size, left : left + size]
                vectors += [unit(corners(crop)), unit(corners(crop[:, ::-1]))]
        np.testing.assert_allclose(embeddings[row], unit(np.mean(vectors, axis=0)), atol=1e-5)


def test_a_single_view_that_is_not_plain_is_normalized_too(tmp_path):
    model, images = Corners(tta=Tta(scales=[0.5])), photos()
    features = tta_features(model, tmp_path)
    features.compute(images)
    expected = [unit(corners(resize(images.read(row), 4))) for row in range(6)]
    np.testing.assert_allclose(features.load(images).matrix, expected, atol=1e-6)


def test_without_tta_embeddings_are_not_normalized(tmp_path):
    images, features = photos(), tta_features(Corners(), tmp_path)
    features.compute(images)
    expected = [corners(resize(images.read(row), 8)) for row in range(6)]
    assert np.array_equal(features.load(images).matrix, expected)


def test_the_plain_view_is_shared_with_runs_without_tta(tmp_path):
    images, plain = photos(), Corners()
    Features(plain, Engine(), tmp_path, Meter()).compute(images)
    flipped, meter = Corners(tta=Tta(flip=True)), Meter()
    tta_features(flipped, tmp_path, meter).compute(images)
    assert (meter.features_reused, meter.features_computed) == (6, 6)
    assert len(flipped.embedded) == 6
    assert len(list((tmp_path / "features").glob("*.sqlite"))) == 2


def test_a_scale_is_shared_with_runs_of_that_image_size(tmp_path):
    images = photos()
    tta_features(Corners(image_size=4), tmp_path).compute(images)
    scaled = Corners(tta=Tta(scales=[1.0, 0.5]))
    tta_features(scaled, tmp_path).compute(images)
    assert scaled.embedded == [8] * 6


def test_every_view_has_its_own_store_and_a_network_is_prepared_once_per_size(tmp_path):
    images, model, meter = photos(), Corners(tta=ALL_VIEWS), Meter()
    features = tta_features(model, tmp_path, meter)
    features.compute(images)
    assert len(list((tmp_path / "features").glob("*.sqlite"))) == 30
    assert model.prepared == [8, 4, 16]
    assert (meter.features_computed, meter.features_reused) == (180, 0)
    assert set(meter.seconds) == {"embed", "decode"}


def test_the_second_run_computes_nothing(tmp_path):
    images = photos(broken=[2])
    first = tta_features(Corners(tta=ALL_VIEWS), tmp_path)
    readable = images.without(set(first.compute(images)))
    assert images.reader.decoded.count("image-2") == 1, "in one view, not in all"
    expected = first.load(readable).matrix
    images.reader.decoded.clear()
    model, meter = Corners(tta=ALL_VIEWS), Meter()
    again = tta_features(model, tmp_path, meter)
    left_out = again.compute(images)
    assert [item.name for item in left_out.values()] == ["image-2"]
    assert (model.prepared, model.embedded, images.reader.decoded) == ([], [], [])
    assert (meter.features_computed, meter.features_reused) == (0, 150)
    assert again.load(readable).matrix.tobytes() == expected.tobytes()
    assert meter.seconds["read"] > 0
    assert again.identity() == first.identity()


def test_an_interrupted_run_resumes_between_views(tmp_path):
    class InterruptedAtThirdSize(Corners):
        def embedder(self, engine, cache, sample):
            if self.image_size == 16:
                raise KeyboardInterrupt
            return super().embedder(engine, cache, sample)

    images, interrupted = photos(), InterruptedAtThirdSize(tta=ALL_VIEWS)
    with pytest.raises(KeyboardInterrupt):
        tta_features(interrupted, tmp_path / "interrupted").compute(images)
    assert len(interrupted.embedded) == 120
    resumed, meter = Corners(tta=ALL_VIEWS), Meter()
    features = tta_features(resumed, tmp_path / "interrupted", meter)
    features.compute(images)
    assert resumed.prepared == [16]
    assert (meter.features_computed, meter.features_reused) == (60, 120)
    complete = tta_features(Corners(tta=ALL_VIEWS), tmp_path / "complete")
    complete.compute(images)
    assert features.load(images).matrix.tobytes() == complete.load(images).matrix.tobytes()


def test_the_rate_counts_photos_with_all_their_views(tmp_path):
    images, meter, model = photos(), Meter(), Corners(tta=Tta(scales=[1.0, 0.5]))
    tta_features(model, tmp_path, meter).compute(images)
    rates = []
    for size in (8, 4):
        single = Meter()
        tta_features(Corners(image_size=size), tmp_path, single).compute(images)
        rates.append(single.images_per_second)
    assert meter.images_per_second == pytest.approx(1 / (1 / rates[0] + 1 / rates[1]))
    engine = Engine(batch_size=7)  # without a measured rate
    ViewAveragedFeatures(model, engine, tmp_path, meter := Meter()).compute(images)
    assert meter.images_per_second is None


@pytest.mark.slow
def test_a_network_embeds_crops_and_flips(tmp_path):
    """Compared with Keras; each of the two sizes is converted once for all crops and flips."""
    views = Tta(flip=True, scales=[1.0, 1.5], crops=Crops.center)
    backbone = Backbone("mobilenet", 32, "MobileNet", 1024, weights="random", tta=views)
    images = photos(4)
    features = tta_features(backbone, tmp_path)
    features.compute(images)
    embeddings = features.load(images).matrix
    assert len(list((tmp_path / "models").iterdir())) == 2
    expected = np.zeros((4, 1024))
    for size in (32, 48):
        network = replace(backbone, image_size=size).build()
        resized_size = round(size / 0.875)
        start = (resized_size - size) // 2
        for row in range(4):
            image = resize(images.read(row), resized_size)[
                start : start + size, start : start + size
            ]
            for view in (image, image[:, ::-1]):
                vector = np.asarray(network(view[None].astype(np.float32), training=False))[0]
                expected[row] += unit(vector.astype(np.float64))
    for row in range(4):
        np.testing.assert_allclose(embeddings[row], unit(expected[row]), rtol=1e-3, atol=1e-6)

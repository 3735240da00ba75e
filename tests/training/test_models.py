"""Options of trained models: invalid ones are reported in one line, before any import."""

import math
import re
from dataclasses import replace

import pytest
from hydra import compose, initialize_config_dir

from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register, to_config
from outliers_bench.errors import BenchError
from outliers_bench.models.pooling import Pooling
from outliers_bench.models.tta import Tta
from outliers_bench.training.augment import Augment, OriginalAugment
from outliers_bench.training.base import Layer, RankBy
from outliers_bench.training.models import CnnScratch, Transfer
from outliers_bench.training.networks import Trainable
from outliers_bench.training.options import Loss
from outliers_bench.training.schedules import OriginalSchedule
from outliers_bench.types import ITSELF, Split
from tests.toys import image_set, toy_split
from tests.training_toys import cnn, mobilenet_transfer

WRONG = {
    "image_size=21": ({"image_size": 21}, r"model\.image_size=21 .*cnn_scratch.*22"),
    "huge": ({"image_size": 10**6}, r"model\.image_size=1000000.*at most"),
    "epochs": ({"epochs": 0}, r"model\.epochs=0: .*at least 1"),
    "batch": ({"batch_size": 0}, r"model\.batch_size=0: .*at least 1"),
    "patience": ({"patience": 0}, r"model\.patience=0: .*at least 1"),
    "blind": ({"patience": 2, "validation": 0.0}, r"model\.patience=2 .*model\.validation=0"),
    "rate": ({"learning_rate": 0.0}, r"model\.learning_rate=0\.0: .*above 0"),
    "high rate": ({"learning_rate": 101.0}, r"model\.learning_rate=101\.0: .*at most 100"),
    "no rate": ({"learning_rate": math.nan}, r"model\.learning_rate=nan"),
    "margin": ({"margin": 2.0}, r"model\.margin=2\.0"),
    "scale": ({"scale": 0.0}, r"model\.scale=0\.0"),
    "memory": ({"memory_gb": -1.0}, r"model\.memory_gb=-1\.0"),
    "endless": ({"memory_gb": math.inf}, r"model\.memory_gb=inf"),
    "smoothing": ({"label_smoothing": 1.0}, r"model\.label_smoothing=1\.0: .*below 1"),
    "validation": ({"validation": 1.0}, r"model\.validation=1\.0: .*below 1"),
    "momentum": ({"momentum": -0.1}, r"model\.momentum=-0\.1"),
    "decay": ({"weight_decay": math.nan}, r"model\.weight_decay=nan"),
    "seed": ({"random_seed": -1}, r"model\.random_seed=-1"),
    "scales": (
        {"tta": Tta(scales=[1.0, 2.0])},
        r"model\.tta\.scales=\[1\.0, 2\.0\]",
    ),
    "imagenet": ({"weights": "imagenet"}, r"model\.weights=imagenet: .*cnn_scratch|no such file"),
    "no file": ({"weights": "nowhere.keras"}, r"model\.weights=nowhere\.keras: .*no such file"),
}
WRONG_TRANSFER = {
    "small": ({"image_size": 31}, r"model\.image_size=31 .*mobilenet.*32"),
    "hidden": ({"hidden": 0}, r"model\.hidden=0"),
    "layers": ({"trainable_layers": ["conv_pw_13"]}, r"model\.trainable_layers=.*last_layers"),
    "gem": ({"pooling": Pooling.gem, "gem_p": 0.0}, r"model\.gem_p=0\.0"),
    "weights": ({"weights": "imagnet"}, r"model\.weights=imagnet: .*did you mean imagenet"),
}
COMPOSED = {
    "unknown backbone": (["model.backbone=mobilnet"], r"model\.backbone.*mobilnet.*mobilenet"),
    "sift": (["model.backbone=sift"], r"model\.backbone=sift: not a backbone"),
    "itself": (["model.backbone=cnn_scratch"], r"model\.backbone=cnn_scratch: not a backbone"),
    "missing": (["model.backbone=nothing"], r"model\.backbone"),
}


def one_line(error: BaseException, expected: str) -> None:
    assert "\n" not in str(error)
    assert re.search(expected, str(error)), str(error)


@pytest.mark.parametrize("case", WRONG)
def test_an_invalid_option_is_reported_in_one_line(case):
    options, expected = WRONG[case]
    with pytest.raises(BenchError) as caught:
        cnn(**options).check()
    one_line(caught.value, expected)


@pytest.mark.parametrize("case", WRONG_TRANSFER)
def test_an_invalid_option_of_transfer(case):
    options, expected = WRONG_TRANSFER[case]
    with pytest.raises(BenchError) as caught:
        mobilenet_transfer(**options).check()
    one_line(caught.value, expected)


@pytest.mark.parametrize("case", COMPOSED)
def test_an_invalid_backbone(case, tmp_path):
    overrides, expected = COMPOSED[case]
    with pytest.raises(BenchError) as caught:
        compose_config("model=transfer", *overrides, f"cache.dir={tmp_path}")
    one_line(caught.value, expected)


def compose_config(*overrides):
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return to_config(compose("config", list(overrides)))


def test_the_limits_of_valid_options():
    for options in (
        {"memory_gb": 0.0, "margin": 0.0, "validation": 0.0, "momentum": 0.0},
        {"patience": 1, "label_smoothing": 0.99, "margin": math.pi / 2, "learning_rate": 100.0},
    ):
        cnn(**options).check()
    mobilenet_transfer(
        hidden=1, trainable=Trainable.last_layers, trainable_layers=["conv_pw_13"]
    ).check()


def test_the_defaults_are_those_of_the_original(tmp_path):
    model = compose_config("model=cnn_scratch", f"cache.dir={tmp_path}").model
    assert (model.image_size, model.epochs, model.batch_size) == (128, 10, 128)
    assert model.lr_schedule.name == "constant"
    chosen = compose_config(
        *("model=transfer_vgg16", "lr_schedule=original", "augment=original", "seed=3"),
        *("deterministic=true", f"cache.dir={tmp_path}"),
    ).model
    assert isinstance(chosen, Transfer)
    assert (chosen.backbone, chosen.image_size, chosen.pooling) == ("vgg16", 224, Pooling.flatten)
    assert (chosen.random_seed, chosen.deterministic) == (3, True)
    assert (chosen.lr_schedule.name, chosen.augment.name) == ("original", "original")


def test_embedding_lengths_known_before_training():
    three = image_set("abcd", [0, 1, 1, 2])
    assert cnn().dimensions_on(three) == 3
    assert cnn(embedding=Layer.backbone).dimensions_on(three) == 128
    assert cnn(embedding=Layer.penultimate, image_size=128).dimensions_on(three) == 25_088
    assert mobilenet_transfer(embedding=Layer.backbone).dimensions_on(three) == 1024
    assert mobilenet_transfer(embedding=Layer.penultimate).dimensions_on(three) is None
    averaged = mobilenet_transfer(embedding=Layer.penultimate, pooling=Pooling.avg)
    assert averaged.dimensions_on(three) == 1024
    assert mobilenet_transfer(embedding=Layer.penultimate, hidden=7).dimensions_on(three) == 7


def test_the_recipe_has_exactly_the_options_that_affect_the_weights():
    plain = cnn().recipe()
    for same in (
        cnn(memory_gb=1.0),
        cnn(resume=False),
        cnn(embedding=Layer.penultimate),
        cnn(rank_by=RankBy.class_scores),
        cnn(tta=Tta(flip=True)),
    ):
        assert same.recipe() == plain
    others = [cnn(epochs=6), cnn(label_smoothing=0.1), cnn(random_seed=1), cnn(deterministic=True)]
    others += [
        mobilenet_transfer(),
        mobilenet_transfer(backbone_seed=1),
        mobilenet_transfer(hidden=4),
        cnn(image_size=23),
    ]
    digests = {str(other.recipe()) for other in [cnn(), *others]}
    assert len(digests) == 1 + len(others)


def part_of(labels, *, named=True):
    return image_set([f"train-{i}" for i in range(len(labels))], labels if named else None)


def split_with(train, query=(0, 1), gallery=(0, 1)):
    split = toy_split(query, gallery, classes=3)
    return Split("toy", replace(train, reader=split.query.reader), split.query, split.gallery)


def test_a_train_part_without_labels_or_classes_is_rejected():
    images = image_set("abcd", [0, 0, 1, 1])
    leave_one_out = Split("toy", images.take([]), images, images, excluded=ITSELF)
    cases = (
        (leave_one_out, r"cnn_scratch learns from the labels.*leave_one_out"),
        (split_with(part_of([])), r"cnn_scratch learns from the labels .* it has none"),
        (split_with(part_of([0, 1], named=False)), r"cnn_scratch learns from the labels"),
        (split_with(part_of([1, 1, 1])), r"cnn_scratch: all images of the train part .* one class"),
    )
    for split, expected in cases:
        with pytest.raises(BenchError) as caught:
            cnn().check_split(split)
        one_line(caught.value, expected)
    cnn().check_split(split_with(part_of([1, 0])))


def test_queries_of_unseen_classes_are_counted():
    split = split_with(part_of([0, 0, 1]), query=(0, 2, 2, 1), gallery=(0, 1, 2))
    assert cnn().diagnostics(split) == {"queries_of_unseen_classes": 2}
    assert cnn().diagnostics(split_with(part_of([0, 1]))) == {}
    unlabeled = replace(split, query=replace(split.query, labels=None))
    assert cnn().diagnostics(unlabeled) == {}


def test_variants_distinguish_trainings_in_tables():
    choices = (
        cnn(),
        cnn(epochs=3),
        cnn(rank_by=RankBy.class_scores),
        cnn(embedding=Layer.backbone),
        cnn(lr_schedule=OriginalSchedule()),
        cnn(augment=OriginalAugment()),
        cnn(loss=Loss.arcface),
        cnn(tta=Tta(flip=True)),
        cnn(learning_rate=0.01),
        mobilenet_transfer(),
        mobilenet_transfer(hidden=9),
        mobilenet_transfer(trainable=Trainable.all),
    )
    variants = [choice.variant for choice in choices]
    assert len(set(variants)) == len(choices), variants
    assert cnn(memory_gb=1.0, resume=False).variant == variants[0]


def test_a_backbone_is_frozen_without_training_and_augmentation():
    assert mobilenet_transfer().frozen_backbone is not None
    assert CnnScratch().frozen_backbone is None
    for trainable in (Trainable.last_layers, Trainable.all):
        assert mobilenet_transfer(trainable=trainable).frozen_backbone is None
    assert mobilenet_transfer(augment=OriginalAugment()).frozen_backbone is None
    assert mobilenet_transfer(augment=Augment()).frozen_backbone is not None
    still = OriginalAugment(rotation_range=0, shear_range=0, zoom_range=0, horizontal_flip=False)
    assert mobilenet_transfer(augment=still).frozen_backbone is not None

"""A folder of ImageNet weights: every network finds its own file and no other."""

import re

import pytest

from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.resolve import composer
from outliers_bench.config.schema import Config, register
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError
from outliers_bench.models.applications import MODULES
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.weights_folder import check_folder, imagenet_file
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.runtime.option_labels import weights_label
from outliers_bench.training.models import Transfer
from tests.toys import toy_split

# Names of the files that Keras downloads, without and with a classification top.
_TF = "_weights_tf_dim_ordering_tf_kernels"
_KERNELS = [
    *("densenet121", "densenet169", "densenet201", "inception_resnet_v2", "inception_v3"),
    *("resnet50", "resnet101", "resnet152", "resnet50v2", "resnet101v2", "resnet152v2"),
    *("vgg16", "vgg19", "xception"),
]
_PLAIN = [
    *(f"convnext_{size}" for size in ("tiny", "small", "base", "large", "xlarge")),
    *(f"efficientnetb{n}" for n in range(8)),
    *(f"efficientnetv2-{size}" for size in ("b0", "b1", "b2", "b3", "s", "m", "l")),
]
_V3 = "weights_mobilenet_v3"
DOWNLOADS = [
    *((f"{name}{_TF}_notop.h5", f"{name}{_TF}.h5") for name in _KERNELS),
    *((f"{name}_notop.h5", f"{name}.h5") for name in _PLAIN),
    *((f"nasnet_{size}_no_top.h5", f"nasnet_{size}.h5") for size in ("mobile", "large")),
    ("mobilenet_1_0_224_tf_no_top.h5", "mobilenet_1_0_224_tf.h5"),
    (f"mobilenet_v2{_TF}_1.0_224_no_top.h5", f"mobilenet_v2{_TF}_1.0_224.h5"),
    (f"{_V3}_small_224_1.0_float_no_top_v2.h5", f"{_V3}_small_224_1.0_float.h5"),
    (f"{_V3}_large_224_1.0_float_no_top_v2.h5", f"{_V3}_large_224_1.0_float.h5"),
]
NETWORKS = [name for names in MODULES.values() for name in names]
# Other weights: more classes, another training, another data set, or another network.
OTHERS = [
    "efficientnetv2-b3-21k_notop.h5",
    "efficientnetb7_noisy_student_notop.h5",
    "densenet121_chexnet_notop.h5",
    "resnet50_places365_notop.h5",
    "vgg16_my_checkpoint.h5",
    "vgg19_weights_th_dim_ordering_th_kernels_notop.h5",
    "weights_mobilenet_v3_large_minimalistic_224_1.0_float_no_top_v2.h5",
    "mobilenet_2_5_224_tf_no_top.h5",
    f"mobilenet_v2{_TF}_1.4_224_no_top.h5",
]


def file_names(network):
    """Return the names of a network's files, without and with a top, by its class name."""
    (pair,) = (
        pair
        for pair in DOWNLOADS
        if re.sub(f"{_TF}|weights|_tf|224|1[._]0|[^a-z0-9]|float|h5", "", pair[1])
        == network.lower()
    )
    return pair


@pytest.fixture
def folder(tmp_path):
    for pair in DOWNLOADS:
        for name in pair:
            (tmp_path / name).touch()
    return tmp_path


def find(folder, network, size=224):
    file = imagenet_file(folder, network, image_size=size)
    return None if file is None else file.name


def test_all_networks_find_their_own_file_without_a_top(folder):
    assert len(NETWORKS) == len(DOWNLOADS) == 40
    assert {n: find(folder, n) for n in NETWORKS} == {n: file_names(n)[0] for n in NETWORKS}


def test_a_file_with_a_top_is_used_if_there_is_none_without(folder):
    for notop, _ in DOWNLOADS:
        (folder / notop).unlink()
    assert {n: find(folder, n) for n in NETWORKS} == {n: file_names(n)[1] for n in NETWORKS}


@pytest.mark.parametrize("network", ["MobileNet", "ResNet50", "EfficientNetV2B3", "VGG16"])
def test_a_network_without_a_file_does_not_use_that_of_another(folder, network):
    for name in file_names(network):
        (folder / name).unlink()
    assert find(folder, network) is None


def test_files_of_other_weights_are_ignored(tmp_path):
    for name in OTHERS:
        (tmp_path / name).touch()
    assert {n: find(tmp_path, n) for n in NETWORKS} == dict.fromkeys(NETWORKS)


def test_the_right_files_are_found_among_other_weights(folder):
    for name in OTHERS:
        (folder / name).touch()
    assert {n: find(folder, n) for n in NETWORKS} == {n: file_names(n)[0] for n in NETWORKS}


@pytest.mark.slow
@pytest.mark.parametrize("network", [names[0] for names in MODULES.values()])
def test_keras_downloads_files_with_these_names(network, monkeypatch):
    import keras
    from keras.src.utils import file_utils

    def get_file(name, *args, **kwargs):
        raise InterruptedError(name)

    monkeypatch.setattr(file_utils, "get_file", get_file)
    keras.utils.clear_session()
    with pytest.raises(InterruptedError) as caught:
        getattr(keras.applications, network)(include_top=False, input_shape=(224, 224, 3))
    assert str(caught.value) == file_names(network)[0]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (160, "mobilenet_1_0_160_tf_no_top.h5"),
        (224, "mobilenet_1_0_224_tf_no_top.h5"),
        (300, "mobilenet_1_0_224_tf_no_top.h5"),
        (60, "mobilenet_1_0_224_tf_no_top.h5"),
    ],
)
def test_of_several_files_the_one_that_keras_would_choose_is_found(tmp_path, size, expected):
    for name in (
        "mobilenet_1_0_160_tf_no_top.h5",
        "mobilenet_1_0_224_tf.h5",
        "mobilenet_1_0_224_tf_no_top.h5",
        "mobilenet_1_0_224_tf_no_top.txt",
    ):
        (tmp_path / name).touch()
    assert find(tmp_path, "MobileNet", size) == expected


def test_names_of_newer_versions_of_keras_are_recognized(tmp_path):
    (tmp_path / "mobilenetv2_1.0_224_notop.weights.h5").touch()
    assert find(tmp_path, "MobileNetV2") == "mobilenetv2_1.0_224_notop.weights.h5"
    assert find(tmp_path, "MobileNet") is None


def resolve(model, **options):
    register()
    config = Config(model=model, index=Exact(), **options)
    model.resolve(composer(config.shared, resource_dir("conf")), config.weights_dir)
    return config


def mobilenet(**options):
    return Backbone("mobilenet", 224, "MobileNet", 1024, **options)


def test_weights_dir_applies_to_backbones_heads_and_members(folder):
    file = str(folder / file_names("MobileNet")[0])
    option = {"weights_dir": str(folder)}
    assert resolve(mobilenet(), **option).model.weights == file
    head = resolve(Transfer(backbone="mobilenet"), **option).model
    assert head.base.weights == file
    for name in file_names("VGG19"):
        (folder / name).unlink()
    ensemble = resolve(Ensemble(members=["mobilenet", "vgg19"]), **option).model
    assert [member.weights for member in ensemble.models] == [file, "imagenet"]
    assert ensemble.members == [f"mobilenet weights={file}", "vgg19"], "as shown in tables"


def test_weights_dir_does_not_override_given_weights(folder):
    config = resolve(mobilenet(weights="random"), weights_dir=str(folder))
    assert config.model.weights == "random"


def test_the_identity_does_not_depend_on_how_the_file_was_given(folder):
    split = toy_split([0, 1], [0, 1])
    file = str(folder / file_names("MobileNet")[0])
    by_folder = resolve(mobilenet(), weights_dir=str(folder))
    assert identity(by_folder, split) == identity(resolve(mobilenet(weights=file)), split)
    assert identity(by_folder, split) != identity(resolve(mobilenet()), split)
    assert weights_label(file) in by_folder.model.variant


def test_an_invalid_weights_dir_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for invalid in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(BenchError, match=f"weights_dir={invalid}: cannot read this folder"):
            check_folder(invalid)
    check_folder(tmp_path)

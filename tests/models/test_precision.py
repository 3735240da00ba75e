"""Precision: features, runs and published rows of different precisions are distinguished."""

from dataclasses import replace

from outliers_bench.config.identity import identity
from outliers_bench.config.published import Published
from outliers_bench.config.published_tags import changes, tags
from outliers_bench.config.schema import Cache, Config
from outliers_bench.data.source import DataSource
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import EngineKind, Precision
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.pixels import Pixels
from outliers_bench.models.precision import get_network, precision_space
from outliers_bench.retrieval.indexes.exact import Exact
from tests.toys import toy_split

BACKBONE = Backbone(name="mobilenet", image_size=32, keras="MobileNet", dim=1024, weights="random")
INT8 = Engine(precision=Precision.int8)
BF16 = Engine(precision=Precision.bf16)
OPENVINO = EngineKind.openvino


def test_every_precision_has_its_own_keys_and_identities(tmp_path):
    for engine in (Engine(), Engine(precision=Precision.f32), Engine(EngineKind.keras)):
        assert precision_space(BACKBONE, engine, tmp_path) == {"precision": "f32"}
    assert precision_space(Pixels("pixels", 8), INT8, tmp_path) == {"precision": "f32"}
    keras = replace(BF16, kind=EngineKind.keras)
    assert precision_space(BACKBONE, keras, tmp_path) == {"precision": "bf16", "engine": "keras"}

    split = toy_split([0, 1], [0, 1])
    of_network = Config(DataSource("toy"), BACKBONE, index=Exact("exact"), cache=Cache("x"))
    of_pixels = replace(of_network, model=Pixels("pixels", 8))
    f32 = Engine(precision=Precision.f32)

    def same(config, engine):
        return identity(replace(config, engine=engine), split) == identity(config, split)

    assert same(of_network, f32)
    assert not same(of_network, INT8)
    assert same(of_pixels, INT8)
    reduced = [
        INT8,
        *(Engine(kind, "auto", Precision.bf16) for kind in (EngineKind.keras, OPENVINO)),
    ]
    identities = {identity(replace(of_network, engine=engine), split) for engine in reduced}
    assert len(identities) == 3  # engines round bfloat16 at different points
    assert identity(replace(of_network, engine=replace(INT8, kind=OPENVINO)), split) in identities


def test_a_published_row_is_float32():
    given = ["engine.batch_size=4", "engine.precision=f32", "engine=openvino"]
    assert changes(given) == []
    assert changes([*given, "engine.precision=int8"]) == ["engine.precision=int8"]
    assert changes(["engine.precision=int8"], precision="int8") == ["engine.precision=int8"]
    # `auto` on a GPU.
    assert changes(["seed=1"], precision="bf16") == ["engine.precision=bf16"]
    row = Published("models_we_built", "vgg16")
    assert tags(row, ["engine.batch_size=4"], precision="bf16") == {}
    assert tags(row, ["engine.batch_size=4"])["row"] == "vgg16"


def test_a_view_has_the_network_of_its_model(tmp_path):
    class View:
        extractor = BACKBONE

    assert get_network(View()) is BACKBONE
    assert get_network(Pixels("pixels", 8)) is None

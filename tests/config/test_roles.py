"""Every option of a run: its role, and whether changing it makes another run."""

import json
import shutil
import zipfile
from contextlib import ExitStack
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.published import read_table
from outliers_bench.config.roles import role
from outliers_bench.config.schema import register, to_config
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.errors import BenchError
from outliers_bench.leakage.audited_splits import SharedSplits
from outliers_bench.retrieval.indexes.annoy_trees import Annoy
from outliers_bench.training.saved_network import NetworkMetadata, write_metadata
from tests.config.other_values import BASES, NEEDS, OTHERS, options, other_values
from tests.named_sets import Mirror, cifar10, cifar_records, write_files
from tests.servers import serving
from tests.toys import toy_split, write_images

# All that cannot change a score. What is missing here can.
SPEED = {
    *("engine.kind", "skip_finished", "objective"),
    *("model.resume", "model.memory_gb", "model.store_features"),
}
PLACE = {
    *("data.name", "data.max_unreadable", "data.root", "data.path", "data.url", "data.verify"),
    *("tracking.uri", "tracking.experiment", "cache.dir", "weights_dir", "published"),
    *("contact_sheets.queries", "contact_sheets.depth", "contact_sheets.captions", "model.file"),
}
# Null, as a reduction of nothing is refused; and one split, as a repeated run is one run for each.
ONLY_VALUE = {("reduce=none", "reduce.n"), ("data=prepared", "data.repeats")}
OPTIONS = list(options())
SPLIT = toy_split([0, 1], [0, 1])


def expected_role(option):
    return "speed" if option in SPEED else "place" if option in PLACE else "result"


def test_roles():
    assert {option: role(option) for _, option in OPTIONS} == {
        option: expected_role(option) for _, option in OPTIONS
    }
    assert {*SPEED, *PLACE} <= {option for _, option in OPTIONS}
    assert role("model.resolved.cnn.resume") == "speed", "of a member of an ensemble"
    assert role("model.resolved.cnn.epochs") == role("no.such") == "result"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Folder with the files that options name, and copies of them in other places."""
    folder = tmp_path_factory.mktemp("places")
    photos = write_images(
        Synthetic(classes=3, individuals=2, images=4, size=24), folder / "classes"
    )
    table = pd.DataFrame(
        {
            "path": [str(file.relative_to(folder / "classes")) for file in photos],
            "label": [file.parts[-3] for file in photos],
            "individual": [file.parts[-2] for file in photos],
            "number": [file.stem for file in photos],
            "site": ["", "a", "b", "c"] * 6,
        }
    )
    table.to_csv(folder / "classes" / "table.csv", index=False)
    times = pd.date_range("2022-01-01", periods=4, freq="200D").repeat(6)
    table.assign(time=times).to_parquet(folder / "classes" / "times.parquet")
    detections = [
        {"category": "12"[at % 2], "conf": 0.15 + 0.6 * (at < 4), "bbox": [0.1 * at, 0, 0.5, 0.5]}
        for at in range(6)
    ]
    images = [
        {"file": file.relative_to(folder / "classes").as_posix(), "detections": detections}
        for file in photos
    ]
    categories = {"1": "animal", "2": "person"}
    (folder / "classes" / "detections.json").write_text(
        json.dumps({"images": images, "detection_categories": categories})
    )
    for number, file in enumerate(photos):
        part = ("train", "query", "gallery")[number % 3]
        target = folder / "parts" / part / file.parts[-3] / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        deep = folder / "deep" / part / f"site{number // 3 % 2}" / file.parts[-3] / target.name
        deep.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, deep)
    leak = next((folder / "parts" / "train").rglob("*.png"))
    shutil.copy(leak, folder / "parts" / "gallery" / leak.parent.name / "leak.png")
    shutil.copytree(folder / "parts", folder / "unlabeled")
    shutil.copytree(folder / "parts/query/class_000", folder / "unlabeled/gallery/unknown")
    batches = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(1, 6)}
    write_files(batches | {"test_batch.bin": cifar_records(8, 6)}, folder / "cifar")
    (folder / "weights").mkdir()
    (folder / "weights" / "mobilenet_1_0_224_tf_no_top.h5").write_bytes(b"weights")
    for name, copied in {
        "classes": "copy",
        "parts": "copied_parts",
        "cifar": "copied_cifar",
        "weights": "copied_weights",
    }.items():
        shutil.copytree(folder / name, folder / copied)
    for name in ("vectors.npy", "copied_vectors.npy"):
        np.save(folder / name, np.eye(len(SPLIT.images), dtype=np.float32))
    (folder / "other.weights.h5").write_bytes(b"other weights")
    layers = {"model": "cnn_scratch", "model.image_size": 128, "model.loss": "cross_entropy"}
    with zipfile.ZipFile(folder / "network.keras", "w") as network:
        network.writestr("config.json", "{}")
        network.writestr("model.weights.h5", b"weights")
    write_metadata(folder / "network.keras", NetworkMetadata(layers, ("a", "b"), {"logits": 2}))
    return folder


@pytest.fixture(scope="module")
def mirrors():
    with ExitStack() as stack:
        yield [stack.enter_context(serving(Mirror(cifar10()))).url for _ in range(2)]


@pytest.fixture(scope="module", autouse=True)
def hydra():
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        yield


@cache  # composing takes most of the time
def composed(*overrides):
    return compose("config", ["data=synthetic", "model=pixels", *overrides])


@pytest.fixture
def place(places, mirrors):
    """Put the paths and addresses of this test run into the text of an option."""

    def put(value):
        if not isinstance(value, str):
            return value
        mirror, other = mirrors
        addresses = value.replace("{0}/mirror", mirror).replace("{0}/other/", other)
        return (other if value == "{0}/other" else addresses).format(places)

    return put


def identity_of(cfg, folder):
    config = to_config(cfg)
    if cfg.data == composed().data:
        return identity(config, SPLIT)
    return identity(config, SharedSplits().load(config.data, seed=config.seed, cache=folder))


@pytest.mark.parametrize(("choice", "option"), OPTIONS)
def test_an_option_changes_the_identity_if_it_can_change_a_score(
    choice, option, places, place, monkeypatch
):
    monkeypatch.setattr(Annoy, "check", lambda _: None)  # the package is an extra
    key = f"{choice} {option}"
    base = BASES.get(choice, (choice,) if choice else ())
    if choice.startswith(("lr_schedule", "augment")):
        base = (*base, choice)
    needs = NEEDS.get(key, NEEDS.get(option, ()))
    cfg = composed(*map(place, (*base, *needs)), f"cache.dir={places}")
    if choice.startswith("model"):  # options of the run that the model takes over
        OmegaConf.resolve(cfg := cfg.copy())
    before = identity_of(cfg, places)
    value = OmegaConf.select(cfg, option)
    value = OmegaConf.to_container(value) if OmegaConf.is_list(value) else value
    explicit = OTHERS.get(key, OTHERS.get(option))
    others = other_values(value) if explicit is None else [place(explicit)]
    if option == "published":
        others = [read_table("models_we_built")[0]]
    valid = different = False
    for other in others:
        changed = cfg.copy()
        try:
            OmegaConf.update(changed, option, other)
            different = identity_of(changed, places) != before
        except (BenchError, OmegaConfBaseException):
            continue
        valid = True
        if different:
            break
    assert valid != ((choice, option) in ONLY_VALUE), f"of {others}"
    assert different == (valid and expected_role(option) == "result")

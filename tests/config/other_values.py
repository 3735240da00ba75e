"""Every option of every choice, and another valid value for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from typing import Any, get_type_hints

from outliers_bench.config.choices import SCHEMAS
from outliers_bench.config.schema import Config
from outliers_bench.data.validation import Evaluated
from outliers_bench.engines.protocols import EngineKind

# Sources of data inherit most options. Each is changed in the first of these sources that has it.
SOURCES = ("prepared", "manifest", "folder", "synthetic", "cifar10", *SCHEMAS["data"])
# A ready-made split is only checked by these; they are changed in another source.
ELSEWHERE = {
    "data.group": "data=folder",
    **dict.fromkeys(("data.encounter_gap", "data.exclude_same"), "data=manifest"),
}

KERAS = ("engine=keras", "engine.precision=f32")
NETWORK = ("model=mobilenet", "model.weights=random", *KERAS)
# Overrides that compose a choice; by default its name. {0} is a folder with the files it needs.
BASES: dict[str, tuple[str, ...]] = {
    "data=prepared": ("data=prepared", "data.root={0}/parts"),
    "data=folder": ("data=folder", "data.root={0}/classes", "data.train=0.4"),
    "data=manifest": ("data=manifest", "data.path={0}/classes/table.csv", "data.train=0.4"),
    "data=synthetic": ("data=synthetic", "data.size=24", "data.classes=4"),
    "data=cifar10": ("data=cifar10", "data.root={0}/cifar"),
    "model=backbone": NETWORK,
    "model=efficientnet_lite0": ("model=efficientnet_lite0", "model.weights=random", *KERAS),
    "model=embeddings": ("model=embeddings", "model.file={0}/vectors.npy"),
    "model=keypoints": ("model=sift",),
    "model=vlad": ("model=sift_vlad",),
    "model=ensemble": ("model=ensemble", "model.members=[pixels,sift_vlad]"),
    "model=transfer": ("model=transfer", "model.weights=random", *KERAS),
    "reduce=pca": ("reduce=pca", "reduce.n=3"),
    "reduce=random_projection": ("reduce=random_projection", "reduce.n=3"),
    **{f"lr_schedule={name}": ("model=cnn_scratch",) for name in SCHEMAS["lr_schedule"]},
    **{f"augment={name}": ("model=cnn_scratch",) for name in SCHEMAS["augment"]},
}
# Options that need others: the overrides in addition.
NEEDS: dict[str, tuple[str, ...]] = {
    "data.cameras": ("data.encounters=2",),
    "data.unknown": ("data.setting=open_set", "data.columns.label=number"),
    **dict.fromkeys(
        ("data.train_until", "data.gallery_until"),
        ("data.path={0}/classes/times.parquet", "data.split_by=time"),
    ),
    "data.encounter_gap": ("data.path={0}/classes/times.parquet",),
    "data.missing_values": ("data.split_by=site", "data.missing_values=exclude"),
    "data.label_depth": ("data.root={0}/deep",),
    "data.missing_labels": ("data.root={0}/unlabeled", "data.missing_labels=exclude"),
    **dict.fromkeys(
        (
            *("data.boxes", "data.box_margin", "data.confidence", "data.category"),
            *("data=manifest data.label_depth", "data=manifest data.label_pattern"),
        ),
        ("data.path={0}/classes/detections.json",),
    ),
    "data.evaluate": ("data.validation=0.5",),
    "data.fold": ("data.folds=3", "data.fold=0"),
    "data.folds": ("data.folds=3", "data.fold=0"),
    "data.split_seed": ("data.validation=0.5",),  # in a ready-made split it decides on nothing else
    "data.url": ("data.root=null", "data.url={0}/mirror", "data.verify=false"),
    "model.trainable_layers": ("model.trainable=last_layers",),
    "model.fusion_depth": ("model.fusion=rrf",),
    "model.rrf_k": ("model.fusion=rrf",),
    "model.tune_images": ("model.member_weights=tuned",),
    "model=ensemble model.random_seed": ("model.member_weights=tuned",),
    "pca.n": ("pca.n=3",),
    "pca.whiten": ("pca.n=3",),
    "deterministic": ("model=cnn_scratch",),
    "weights_dir": ("model=mobilenet", "weights_dir={0}/weights", *KERAS),
    **dict.fromkeys(("engine.kind", "engine.batch_size", "engine.precision"), NETWORK),
}
# Other values, where the type does not say what is valid.
OTHERS: dict[str, Any] = {
    "data.root": "{0}/copy",
    "data=prepared data.root": "{0}/copied_parts",
    "data=cifar10 data.root": "{0}/copied_cifar",
    "contact_sheets.captions": ["path"],
    "data.group": "-1",
    "data.encounter_gap": "1h",
    "data.exclude_same": ["site"],
    "data.columns": {"label": "individual"},
    "data.path": "{0}/copy/table.csv",
    "data.url": "{0}/other",
    "data.include": ["query/**", "gallery/**"],
    "data.exclude": ["train/**"],
    "data.unknown": 0.5,
    "data.split_by": "number",
    **dict.fromkeys(("data.train_until", "data.gallery_until"), "2023"),
    "data.label_depth": 2,
    "data.label_pattern": r"(\d|leak)\.png$",
    **dict.fromkeys(("data.query_folder", "data.gallery_folder"), "train"),
    "data.train_folder": "query",
    "data=folder data.train_folder": "class_000",
    "data.category": "person",
    "data.validation": 0.5,
    "data.split_seed": 2,
    "data.evaluate": Evaluated.validation,
    "engine.kind": EngineKind.openvino,
    "engine.batch_size": 4,
    "model=transfer model.image_size": 192,
    "model.file": "{0}/copied_vectors.npy",
    "model.keras": "MobileNetV2",
    "model.weights": "{0}/other.weights.h5",
    "model=cnn_scratch model.weights": "{0}/network.keras",
    "model.backbone": "mobilenetv2",
    "model.members": ["pixels", "sift_vlad words=8"],
    "model.member_weights": [1, 2],
    "model.trainable_layers": ["conv_pw_13"],
    "objective": "mrr",
    "statistics.cluster": "label",
    "tracking.uri": "sqlite:///other.db",
    "weights_dir": "{0}/copied_weights",
}


def options() -> Iterator[tuple[str, str]]:
    """Every option, after the choice it belongs to, such as `index=kd_tree`, if it is of one."""
    inherited: list[Field[Any]] = []
    for name, kind in get_type_hints(Config).items():
        if name == "data":
            for choice in SOURCES:
                entries = fields(SCHEMAS[name][choice])
                own = [entry for entry in entries if not any(entry is one for one in inherited)]
                for option in (f"data.{entry.name}" for entry in own):
                    yield ELSEWHERE.get(option, f"data={choice}"), option
                inherited += own
        elif name in SCHEMAS:
            for choice, schema in SCHEMAS[name].items():
                yield from ((f"{name}={choice}", option) for option in _names(name, schema))
        elif name == "published":  # the row of a published table is valid only as a whole
            yield "", name
        else:
            yield from (("", option) for option in _names(name, kind))


def _names(name: str, kind: type) -> Iterator[str]:
    if not is_dataclass(kind):
        yield name
        return
    hints = get_type_hints(kind)
    for entry in fields(kind):
        yield from _names(f"{name}.{entry.name}", hints[entry.name])


def other_values(value: object) -> list[Any]:
    """Values of the same type, likely ones first; not all are valid for every option."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, Enum):
        return [member for member in type(value) if member is not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value / 2 if value else 0.01, value + 0.01]
    if isinstance(value, list):
        return [value[:-1], [1.001 * number for number in value]]
    return [1] if value is None else [f"{value}_other"]

"""The `engine=` option: what computes the features."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class EngineKind(Enum):
    """Who runs the network."""

    auto = "auto"  # TensorFlow on a GPU, OpenVINO on a CPU
    keras = "keras"
    openvino = "openvino"


@dataclass
class Engine:
    """How features are computed.

    Parameters
    ----------
    kind : EngineKind
        `auto` takes TensorFlow where it sees a GPU and OpenVINO otherwise.
    batch_size : int or "auto"
        Images that go through the network together.
    """

    kind: EngineKind = EngineKind.auto
    batch_size: Any = "auto"

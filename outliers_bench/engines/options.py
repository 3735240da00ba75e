"""The `engine=` option: inference engine, batch size and precision."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from outliers_bench.engines.protocols import EngineKind, Precision
from outliers_bench.errors import BenchError
from outliers_bench.runtime.invocation import install_command
from outliers_bench.runtime.option_roles import RESULT

LARGEST_BATCH = 4096  # images; sizes beyond a few dozen are no faster and exhaust memory


@dataclass
class Engine:
    """Engine, batch size and precision that features are computed with.

    Parameters
    ----------
    kind : EngineKind
        `auto` uses TensorFlow if it sees a GPU and OpenVINO otherwise.
    batch_size : int or "auto"
        Number of images per batch; `auto` measures which is fastest of those that give the same
        vectors. Features are cached separately by a given size.
    precision : Precision
        Features are cached separately by precision.
    """

    kind: EngineKind = EngineKind.auto
    batch_size: Any = field(default="auto", metadata=RESULT)
    precision: Precision = field(default=Precision.auto, metadata=RESULT)

    def check(self, cache: Path | None = None) -> None:
        """Check that these options are valid on this machine.

        Raises
        ------
        BenchError
            For an invalid batch size, or a precision that the engine, the processor or the
            installed packages do not support.
        """
        batch = self.batch_size
        if batch != "auto" and not (type(batch) is int and 1 <= batch <= LARGEST_BATCH):
            raise BenchError(
                f"engine.batch_size={batch}: give auto or a whole number from 1 to {LARGEST_BATCH}"
            )
        if self.precision is Precision.int8 and self.kind is EngineKind.keras:
            raise BenchError(
                "engine.precision=int8 is computed by OpenVINO: use engine=openvino, or "
                "engine.precision=bf16 with engine=keras"
            )
        if self.precision is Precision.int8 and find_spec("nncf") is None:
            raise BenchError(
                f"engine.precision=int8 needs the package nncf: {install_command('int8')}"
            )
        if (
            self.precision is Precision.bf16
            and resolve_kind(self.kind, cache) is EngineKind.openvino
        ):
            from outliers_bench.engines.openvino_run import capabilities

            if "BF16" not in (supported := capabilities()):
                raise BenchError(
                    "engine.precision=bf16: this processor does not support bfloat16 (OpenVINO "
                    f"reports {', '.join(supported)}); use f32 or int8, or engine=keras, which "
                    "runs bfloat16 on any processor, but slowly"
                )


def resolve_kind(kind: EngineKind, cache: Path | None = None) -> EngineKind:
    """Resolve `auto` on this machine: keras if TensorFlow sees a GPU, openvino otherwise."""
    if kind is not EngineKind.auto:
        return kind
    from outliers_bench.engines.gpu import detect_gpu

    return EngineKind.keras if detect_gpu(cache).found else EngineKind.openvino


def resolve_engine(engine: Engine, cache: Path) -> Engine:
    """Resolve `auto` on this machine for kind and precision."""
    precision = engine.precision
    if precision is Precision.int8:  # supported by OpenVINO only
        return replace(engine, kind=EngineKind.openvino)
    kind = resolve_kind(engine.kind, cache)
    if precision is Precision.auto:
        from outliers_bench.engines.gpu import detect_gpu

        automatic = engine.kind is EngineKind.auto and kind is EngineKind.keras
        bfloat16 = automatic and detect_gpu(cache).bfloat16
        precision = Precision.bf16 if bfloat16 else Precision.f32
    return replace(engine, kind=kind, precision=precision)

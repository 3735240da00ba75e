"""The `engine=` option: what computes the features, and in which numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.engines.protocols import EngineKind, Precision
from outliers_bench.errors import BenchError
from outliers_bench.runtime.invocation import install

if TYPE_CHECKING:
    from outliers_bench.engines.protocols import Network

LARGEST_BATCH = 4096  # images; beyond a few dozen none is faster, and memory runs out


@dataclass
class Engine:
    """How features are computed.

    Parameters
    ----------
    kind : EngineKind
        `auto` takes TensorFlow where it sees a GPU and OpenVINO otherwise.
    batch_size : int or "auto"
        Images that go through the network together; `auto` measures what is fastest.
    precision : Precision
        Features of each precision are kept apart, and what any but f32 costs is recorded.
    """

    kind: EngineKind = EngineKind.auto
    batch_size: Any = "auto"
    precision: Precision = Precision.auto

    def check(self, cache: Path | None = None) -> None:
        """Refuse what cannot be computed on this machine.

        Parameters
        ----------
        cache : Path or None
            Where it is kept whether there is a GPU.

        Raises
        ------
        BenchError
            For a batch size that is none, or a precision that the engine, the processor or what
            is installed does not have.
        """
        batch = self.batch_size
        if batch != "auto" and not (type(batch) is int and batch >= 1):
            raise BenchError(f"engine.batch_size={batch}: auto, or a whole number of at least 1")
        if batch != "auto" and batch > LARGEST_BATCH:
            raise BenchError(f"engine.batch_size={batch}: at most {LARGEST_BATCH}")
        if self.precision is Precision.int8:
            self._check_int8()
        elif (
            self.precision is Precision.bf16
            and resolve_kind(self.kind, cache) is EngineKind.openvino
        ):
            self._check_bf16()

    def _check_int8(self) -> None:
        if self.kind is EngineKind.keras:
            raise BenchError(
                "engine.precision=int8 is computed by OpenVINO: take engine=openvino, or "
                "engine.precision=bf16 with engine=keras"
            )
        if find_spec("nncf") is None:
            raise BenchError(f"engine.precision=int8 needs the package nncf: {install('int8')}")

    def _check_bf16(self) -> None:
        from outliers_bench.engines.openvino_run import capabilities

        able = capabilities()
        if "BF16" not in able:
            raise BenchError(
                "engine.precision=bf16: this processor does not compute with bfloat16 (OpenVINO "
                f"finds {', '.join(able)}); take f32 or int8, or engine=keras, which does so on "
                "any processor, but slowly"
            )


def resolve_kind(kind: EngineKind, cache: Path | None = None) -> EngineKind:
    """What `auto` means on this machine: keras where TensorFlow sees a GPU, openvino otherwise.

    Parameters
    ----------
    kind : EngineKind
        What was asked for.
    cache : Path or None
        Where the answer is kept, so that TensorFlow need not be imported for it again.
    """
    if kind is not EngineKind.auto:
        return kind
    from outliers_bench.engines.gpu import detect_gpu

    return EngineKind.keras if detect_gpu(cache).found else EngineKind.openvino


def resolve_engine(engine: Engine, cache: Path) -> Engine:
    """The engine with what `auto` means on this machine for kind and precision.

    Parameters
    ----------
    engine : Engine
        What was asked for.
    cache : Path
        Where it is kept whether there is a GPU.
    """
    kind, precision = engine.kind, engine.precision
    if precision is Precision.int8:  # which only one of them has
        return replace(engine, kind=EngineKind.openvino)
    kind = resolve_kind(kind, cache)
    if precision is Precision.auto:
        from outliers_bench.engines.gpu import detect_gpu

        automatic = engine.kind is EngineKind.auto and kind is EngineKind.keras
        able = automatic and detect_gpu(cache).bfloat16
        precision = Precision.bf16 if able else Precision.f32
    return replace(engine, kind=kind, precision=precision)


def resolve_for_network(network: Network, engine: Engine, cache: Path) -> Engine:
    """The engine with nothing left to `auto` but the batch size, as it computes this network."""
    if getattr(network, "always_f32", False):
        kind = EngineKind.auto if engine.precision is Precision.int8 else engine.kind
        engine = replace(engine, kind=kind, precision=Precision.f32)
    return resolve_engine(engine, cache)

"""int8: NNCF's post-training quantization of a converted network, made once and kept."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.engines.model_cache import model_path, read_record, store_model
from outliers_bench.engines.openvino_convert import (
    DIFFERENCE,
    convert_or_load,
    one_line_errors,
    space_of,
)
from outliers_bench.engines.openvino_run import import_openvino
from outliers_bench.types import RGB

if TYPE_CHECKING:
    from outliers_bench.engines.protocols import Network

_DIGEST = "quantized"


def quantize_or_load(backbone: Network, cache: Path, sample: Callable[[], list[RGB]]) -> Path:
    """The backbone as an OpenVINO model with 8-bit weights and maps; made now if it was not.

    The ranges of the maps are those of the first photos that a model is quantized with, of which
    `conversion.json` beside it keeps the number and a digest.

    Parameters
    ----------
    backbone : Network
    cache : Path
        Directory of all that is kept.
    sample : callable
        Gives the photos, resized; at most `CALIBRATION` are used. Called once.

    Returns
    -------
    Path
        The .xml file; see `convert_or_load`.

    Raises
    ------
    BenchError
        See `convert_or_load`; also if NNCF fails.

    References
    ----------
    Jacob et al. (2018), Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference; https://github.com/openvinotoolkit/nncf
    """
    model = quantized_path(backbone, cache)
    if model.exists():
        return model
    images = sample()[:CALIBRATION]
    whole = convert_or_load(backbone, cache, lambda: images[:SAMPLE])

    def make(target: Path) -> dict[str, Any]:
        _quantize(whole, target, images, name=backbone.name)
        photos = hashlib.blake2b(digest_size=16)
        for image in images:
            photos.update(image.tobytes())
        return {
            _DIGEST: _content(target),
            "calibrated_on": len(images),
            "calibrated_on_digest": photos.hexdigest(),
            DIFFERENCE: read_record(whole).get(DIFFERENCE),
            **_space(backbone),
        }

    store_model(model, make)
    return model


def quantized_path(backbone: Network, cache: Path) -> Path:
    """The .xml file of the quantized model, which need not be there."""
    return model_path(_space(backbone), cache)


def quantized_digest(backbone: Network, cache: Path) -> str:
    """What tells the kept quantized model from any other; "none" where there is none."""
    model = quantized_path(backbone, cache)
    if known := read_record(model).get(_DIGEST):
        return str(known)
    return _content(model) if model.exists() else "none"  # the record beside it is damaged


def _content(model: Path) -> str:
    content = hashlib.blake2b(digest_size=16)
    for part in (model, model.with_suffix(".bin")):
        content.update(part.read_bytes())
    return content.hexdigest()


def _space(backbone: Network) -> dict[str, str | int | float]:
    return {**space_of(backbone), "nncf": version("nncf"), "precision": "int8"}


def _quantize(whole: Path, target: Path, images: list[RGB], *, name: str) -> None:
    ov = import_openvino()
    refused = f"model={name}: NNCF {version('nncf')} cannot quantize it; use engine.precision=f32"
    with one_line_errors(refused), _quiet():
        nncf = _import_nncf()
        from nncf.quantization.advanced_parameters import (
            AdvancedQuantizationParameters,
            OverflowFix,
        )

        # Processors without VNNI add products of 8 bits up in 16, which overflow: weights of 7
        # bits don't. In the first layer alone, as is NNCF's default, MobileNet loses twice as much.
        safe = AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE)
        model = nncf.quantize(
            ov.Core().read_model(whole),
            nncf.Dataset([image[None] for image in images]),
            subset_size=len(images),
            advanced_parameters=safe,
        )
    ov.save_model(model, target, compress_to_fp16=False)


def _import_nncf() -> Any:  # noqa: ANN401 - untyped
    """Import NNCF without its telemetry, which stands still where OpenVINO's is missing."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF's bars off the terminal, which has the run's own."""
    import io
    from contextlib import redirect_stderr, redirect_stdout

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


CALIBRATION = 256  # photos at most from which an int8 network has its ranges


SAMPLE = 8  # photos on which a fresh conversion is checked

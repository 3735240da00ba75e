"""Post-training quantization of a converted network to int8 by NNCF, cached on disk."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.engines.model_cache import is_stored, model_path, read_record, store_model
from outliers_bench.engines.openvino_convert import (
    DIFFERENCE,
    convert_or_load,
    one_line_errors,
    space_of,
)
from outliers_bench.engines.openvino_run import embed_images, import_openvino
from outliers_bench.types import RGB

if TYPE_CHECKING:
    from outliers_bench.engines.protocols import Network

_log = logging.getLogger(__name__)

_DIGEST = "quantized"
COSINE = "cosine_with_f32"  # of the embeddings of a photo before and after quantization, mean
_MIN_COSINE = 0.5  # a lower mean is an error of the quantization
CALIBRATION = 256  # largest number of photos that an int8 network is calibrated on
SAMPLE = 8  # number of photos that a new conversion is checked on
_COMPARED = 64  # number of photos that a new quantization is checked on


def quantize_or_load(backbone: Network, cache: Path, sample: Callable[[], list[RGB]]) -> Path:
    """Return the path of the network's int8 model, quantizing it if it is not cached.

    Weights and feature maps have 8 bits. The ranges of the maps come from the photos of the run
    that quantizes the model, `sample`, of which at most `CALIBRATION` are used; `conversion.json`
    next to it has their number and a digest.

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
    if is_stored(model):
        return model
    images = sample()[:CALIBRATION]
    source = convert_or_load(backbone, cache, lambda: images[:SAMPLE])

    def make(target: Path) -> dict[str, Any]:
        _quantize(source, target, images, name=backbone.name)
        cosine = _mean_cosine(source, target, images[:_COMPARED])
        if cosine < _MIN_COSINE:
            _log.warning(
                "model=%s: its int8 embeddings have a mean cosine of %.2f with those in float32, "
                "so that their scores say little about the model; use engine.precision=f32",
                backbone.name,
                cosine,
            )
        photos = hashlib.blake2b(digest_size=16)
        for image in images:
            photos.update(image.tobytes())
        return {
            _DIGEST: _digest_files(target),
            COSINE: cosine,
            "calibrated_on": len(images),
            "calibrated_on_digest": photos.hexdigest(),
            DIFFERENCE: read_record(source).get(DIFFERENCE),
            **_space(backbone),
        }

    store_model(model, make)
    return model


def quantized_path(backbone: Network, cache: Path) -> Path:
    """Return the path of the quantized model's .xml file, which may not exist yet."""
    return model_path(_space(backbone), cache)


def quantized_digest(backbone: Network, cache: Path) -> str:
    """Return the digest of the cached quantized model, or "none" if there is no such model."""
    model = quantized_path(backbone, cache)
    if known := read_record(model).get(_DIGEST):
        return str(known)
    return _digest_files(model) if model.exists() else "none"  # its record is damaged


def _digest_files(model: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in (model, model.with_suffix(".bin")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _space(backbone: Network) -> dict[str, str | int | float]:
    return {**space_of(backbone), "nncf": version("nncf"), "precision": "int8"}


def _quantize(source: Path, target: Path, images: list[RGB], *, name: str) -> None:
    ov = import_openvino()
    refused = f"model={name}: NNCF {version('nncf')} cannot quantize it; use engine.precision=f32"
    # Hides NNCF's progress bars; the terminal shows the run's own. Its telemetry is off because
    # OpenVINO's is.
    hidden = io.StringIO()
    with one_line_errors(refused), redirect_stdout(hidden), redirect_stderr(hidden):
        import nncf
        from nncf.quantization.advanced_parameters import (
            AdvancedQuantizationParameters,
            OverflowFix,
        )

        nncf.set_log_level(logging.ERROR)
        # Processors without VNNI sum products of 8 bits in 16 bits, which overflows with weights
        # of 8 bits but not of 7. With NNCF's default, 7 bits in the first layer only, MobileNet
        # loses twice as much.
        safe = AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE)
        model = nncf.quantize(
            ov.Core().read_model(source),
            nncf.Dataset([image[None] for image in images]),
            subset_size=len(images),
            advanced_parameters=safe,
        )
    ov.save_model(model, target, compress_to_fp16=False)


def _mean_cosine(one: Path, other: Path, images: list[RGB]) -> float:
    """Return the mean cosine of two networks' embeddings of the same images."""
    import numpy as np

    a, b = (embed_images(model, images) for model in (one, other))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / np.maximum(lengths, 1e-30)).mean())

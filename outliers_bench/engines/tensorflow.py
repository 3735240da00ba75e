"""Import of TensorFlow with this project's settings."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from typing import Any

from outliers_bench.runtime.machine import cores


def import_tensorflow() -> Any:  # noqa: ANN401 - tensorflow is untyped
    """Import TensorFlow without its messages about missing GPUs.

    C++ code writes them to file descriptor 2 before any setting could silence them. They are
    shown if the import fails.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 2)
        try:
            import tensorflow
        except BaseException:
            output.seek(0)
            os.write(terminal, output.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
    # Features of one space are float32 on every device; TF32 has a mantissa of 10 bits.
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    if cores() < (os.cpu_count() or 1):  # a container's quota, which TensorFlow does not see
        with suppress(RuntimeError):  # TensorFlow is already initialized
            tensorflow.config.threading.set_intra_op_parallelism_threads(cores())
    return tensorflow

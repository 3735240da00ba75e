"""Importing TensorFlow, in one place."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from typing import Any

from outliers_bench.runtime.machine import cores


def import_tensorflow() -> Any:  # noqa: ANN401 - tensorflow is untyped
    """Import TensorFlow without its remarks about graphics cards that are not there.

    They are written by C++ to file descriptor 2 before any setting could silence them. What was
    written is shown all the same if the import fails.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow
        except BaseException:
            said.seek(0)
            os.write(terminal, said.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
    # Features of one space are float32 whatever computed them; TF32 has 10 bits of mantissa.
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    if cores() < (os.cpu_count() or 1):  # a container's share, of which TensorFlow knows nothing
        with suppress(RuntimeError):  # somebody has already computed with it
            tensorflow.config.threading.set_intra_op_parallelism_threads(cores())
    return tensorflow

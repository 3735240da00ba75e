"""The command line: one run, or with -m a sweep of them."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from outliers_bench import sweep
from outliers_bench.config import register, shipped, typed
from outliers_bench.errors import BenchError
from outliers_bench.explain import explain
from outliers_bench.help import page, wanted

USER_ERROR = 2
INTERRUPTION = "interrupted; what was computed is kept, and the same command goes on from there"
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def job(cfg: DictConfig) -> None:
    """Run one composed config."""
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    try:
        with sweep.recorded(cfg.tracking.uri, overrides):
            config = typed(cfg)
            # Only now: a mistake in the options is told without waiting for the libraries.
            from outliers_bench.benchmark import prepare, run

            prepared = prepare(config)
        run(prepared, overrides=overrides)
    except BenchError as error:
        if hydra_config.mode is RunMode.MULTIRUN:
            print(f"error in {' '.join(overrides)}: {error}", file=sys.stderr)
            raise  # the launcher goes on with the other jobs and raises this at the end
        _leave(error)


def main() -> None:
    """Compose the config from the command line and run what it asks for."""
    wants_traceback = "HYDRA_FULL_ERROR" in os.environ
    # Hydra would print its errors at length and exit with 1; this makes it raise them to us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow tells at length what it lacks
    # Importing MLflow makes millions of objects that stay; collecting meanwhile costs a tenth.
    gc.set_threshold(50_000, 20, 20)
    register()
    signal.signal(signal.SIGTERM, _terminate)
    conf = str(shipped("conf"))
    compose_and_run = hydra.main(version_base="1.3", config_path=conf, config_name="config")(job)
    # Hydra takes no flag between two overrides, and says so on twelve lines.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    try:
        if wanted(sys.argv[1:]):
            print(page(shipped("conf"), shipped("experiments"), sys.argv[1:]))
        else:
            compose_and_run()
        sweep.finish()
    except KeyboardInterrupt:
        print(
            "interrupted; what was computed is kept, and the same command goes on from there",
            file=sys.stderr,
        )
        sweep.finish("KILLED")
        sys.exit(INTERRUPTED)
    except SystemExit:
        sweep.finish("KILLED")
        raise
    except (BenchError, HydraException, OmegaConfBaseException) as error:
        swept = sweep.finish("FAILED")
        if wants_traceback:
            raise
        if swept and isinstance(error, BenchError):
            error = BenchError("not every job of the sweep finished, as told above")
        _leave(error)
    except Exception:
        sweep.finish("FAILED")
        raise


def _terminate(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Let SIGTERM unwind the stack, so that the run in MLflow learns of it."""
    sys.exit(128 + signum)


def _leave(error: BenchError | HydraException | OmegaConfBaseException) -> None:
    message = str(error) if isinstance(error, BenchError) else explain(error)
    print(f"error: {message}", file=sys.stderr)
    sys.exit(USER_ERROR)

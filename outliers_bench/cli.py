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

from outliers_bench.config import register, shipped, typed
from outliers_bench.errors import BenchError
from outliers_bench.explain import leave
from outliers_bench.help import page, wanted
from outliers_bench.sweeps import parent as sweep
from outliers_bench.sweeps.objective import check_objective

UNFINISHED = 1  # a sweep that ran, though not all of it
INTERRUPTION = "interrupted; what was computed is kept, and the same command goes on from there"
_INCOMPLETE = "not every job of the sweep finished, as told above"
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def job(cfg: DictConfig) -> float | None:
    """Run one composed config; a sweeper that asks for it gets the run's objective."""
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    asked = sweep.wants_objective()
    try:
        with sweep.recorded(cfg, overrides):
            config = typed(cfg)
            if asked:
                check_objective(config.objective, config.k)
            # Only now: a mistake in the options is told without waiting for the libraries.
            from outliers_bench.benchmark import prepare, run

            prepared = prepare(config)
            if asked:
                labelled = prepared.split.labelled
                check_objective(config.objective, config.k, labelled=labelled)
        result = run(prepared, overrides=overrides)
        return sweep.objective(prepared, result) if asked else None
    except BenchError as error:
        if hydra_config.mode is RunMode.MULTIRUN:
            print(f"error in {' '.join(overrides)}: {error}", file=sys.stderr)
            raise  # the launcher goes on with the other jobs and raises this at the end
        leave(error)


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
        if sweep.finish():
            leave(BenchError(_INCOMPLETE), UNFINISHED)
    except KeyboardInterrupt:
        print(INTERRUPTION, file=sys.stderr)
        sweep.finish("KILLED")
        sys.exit(INTERRUPTED)
    except SystemExit:
        sweep.finish("KILLED")
        raise
    except (BenchError, HydraException, OmegaConfBaseException) as error:
        swept = sweep.finish("FAILED") is not None
        if wants_traceback:
            raise
        if swept and isinstance(error, BenchError):
            error = BenchError(_INCOMPLETE)
        leave(error, *([UNFINISHED] if swept else []))
    except Exception:
        sweep.finish("FAILED")
        raise


def _terminate(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Let SIGTERM unwind the stack, so that the run in MLflow learns of it."""
    sys.exit(128 + signum)

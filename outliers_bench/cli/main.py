"""The command line: one run, or with -m a sweep of them."""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from traceback import format_exception

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from outliers_bench.cli.help import is_requested, page
from outliers_bench.config import option_files
from outliers_bench.config.hydra_errors import exit_with_error, explain
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register, to_config
from outliers_bench.config.text_options import MULTIRUN, is_text_option, to_hydra
from outliers_bench.errors import BenchError
from outliers_bench.runtime import signals
from outliers_bench.runtime.background import exit_while_decoding
from outliers_bench.runtime.invocation import with_current_python
from outliers_bench.runtime.output import guard_worker
from outliers_bench.sweeps import parent as sweep
from outliers_bench.sweeps.objective import check_metric_name, check_objective, objective_of
from outliers_bench.sweeps.plugins import is_search
from outliers_bench.sweeps.trials import note_trial
from outliers_bench.tracking.runs import failure_line

UNFINISHED = 1  # a sweep that ran, though not all of it
INTERRUPTION = "finished work is stored, and the same command continues from there"
_INCOMPLETE = "not every job of the sweep finished; see the messages above"
_WORKER_DIED = (
    "a worker process died, perhaps out of memory; the same command with skip_finished=true "
    "continues"
)
_DEAD_WORKER = ("TerminatedWorkerError", "BrokenProcessPool")  # from joblib, an extra
_MISTAKES = (BenchError, HydraException, OmegaConfBaseException)


def job(cfg: DictConfig) -> float | None:
    """Run one composed config; return the objective if the sweeper needs it."""
    guard_worker()  # a job may have a process of its own, as with joblib
    hydra_config = HydraConfig.get()
    overrides = sweep.job_overrides()
    needs_objective = is_search(hydra_config)
    try:
        with sweep.record_early_failure(cfg, overrides):
            config = to_config(cfg)
            check_metric_name(config.objective, config.k)
            if needs_objective:
                check_objective(config.objective, config.k)
            # Late, so that a mistake in the options is reported without importing the libraries.
            from outliers_bench.recorded_run import prepare, run

            config.data.check()
            if len(config.data.each_split()) > 1:
                from outliers_bench.sweeps.repeats import run_repeats

                finished = run_repeats(config, overrides)
                return objective_of(finished, config.objective) if needs_objective else None
            prepared = prepare(config)
            if needs_objective:
                labeled = prepared.split.labeled
                check_objective(config.objective, config.k, labeled=labeled)
        outcome = run(prepared, overrides=overrides)
        note_trial(prepared, outcome, overrides)
        return objective_of(outcome, config.objective) if needs_objective else None
    except Exception as error:
        if hydra_config.mode is RunMode.MULTIRUN:
            _print_error(_correctable(error), overrides)
            raise  # the launcher continues with the other jobs and raises this at the end
        if isinstance(error, BenchError):
            exit_with_error(BenchError(f"{error}{_hint(str(error), overrides)}"))
        raise


def _hint(message: str, overrides: Sequence[str]) -> str:
    """Return a hint for text with commas, which separate several values with -m only."""
    texts = [word for word in overrides if "," in word and is_text_option(word)]
    return "; add -m for several values" if any(word in message for word in texts) else ""


def _correctable(error: Exception) -> Exception:
    """Return a full disk as an error that the user can correct, and any other error unchanged."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return BenchError(f"{error}; free some space, and start again")
    return error


def _print_error(error: Exception, overrides: Sequence[str]) -> None:
    """Print why a job of a sweep failed."""
    message = str(error) if isinstance(error, BenchError) else "".join(format_exception(error))
    print(
        f"error in {' '.join(overrides)}: {with_current_python(message.rstrip())}", file=sys.stderr
    )


def main() -> None:
    """Compose the config from the command line and run it."""
    wants_traceback = "HYDRA_FULL_ERROR" in os.environ
    # Makes Hydra raise its errors instead of printing them at length and exiting with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow lists what it lacks
    # Importing MLflow makes millions of objects that stay; collecting garbage costs a tenth.
    gc.set_threshold(50_000, 20, 20)
    # Before the first job of a sweep, Hydra shows what libraries log at INFO.
    logging.getLogger("faiss").setLevel(logging.WARNING)
    register()
    option_files.use_for_hydra()
    signals.end_like_interrupt()
    conf = str(resource_dir("conf"))
    compose_and_run = hydra.main(version_base="1.3", config_path=conf, config_name="config")(job)
    # Hydra takes no flag between two overrides.
    words = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    try:
        sys.argv[1:] = to_hydra(words, multirun=any(word in MULTIRUN for word in words))
        if is_requested(sys.argv[1:]):
            print(
                with_current_python(
                    page(resource_dir("conf"), resource_dir("experiments"), sys.argv[1:])
                )
            )
            return
        try:
            compose_and_run()
        except Exception:
            sweep.run_winner(compose_and_run, after_failure=True)
            raise
        sweep.run_winner(compose_and_run)
        unfinished = sweep.finish()
        _deliver()
        if unfinished:
            exit_with_error(BenchError(_INCOMPLETE), UNFINISHED)
    except KeyboardInterrupt:
        print(f"{signals.cause()}; {INTERRUPTION}", file=sys.stderr)
        _finish_stopped()
        exit_while_decoding(signals.exit_code())
        sys.exit(signals.exit_code())
    except SystemExit:
        _finish_stopped()
        raise
    except Exception as error:
        sweeping, swept = sweep.has_begun(), sweep.finish("FAILED") is not None
        _deliver()
        error = _correctable(error)
        if wants_traceback or not (sweeping or isinstance(error, _MISTAKES)):
            raise
        if swept or type(error).__name__ in _DEAD_WORKER:
            exit_with_error(BenchError(_sweep_message(error)), UNFINISHED)
        if isinstance(error, _MISTAKES):
            exit_with_error(error)
        exit_with_error(BenchError(f"the sweep could not start: {failure_line(error)}"))


def _finish_stopped() -> None:
    """End the sweep and deliver."""
    with suppress(KeyboardInterrupt):  # again: the sender finishes by itself
        sweep.finish("KILLED")
        _deliver()


def _deliver() -> None:
    """Wait until MLflow has everything, and print what it does not have."""
    from outliers_bench.tracking import senders

    for message in senders.finish():
        print(f"note: {with_current_python(message)}", file=sys.stderr)


def _sweep_message(error: Exception) -> str:
    """Return why a sweep is not complete; its jobs have printed their own errors."""
    if type(error).__name__ in _DEAD_WORKER:
        return _WORKER_DIED
    if isinstance(error, BenchError):
        return _INCOMPLETE
    if isinstance(error, HydraException | OmegaConfBaseException):
        return f"{_INCOMPLETE} ({explain(error)})"
    return f"{_INCOMPLETE} ({failure_line(error)})"

"""What the machine does while a run goes on: MLflow's own system metrics, on runs that last."""

from __future__ import annotations

import logging
import os
from threading import Lock, Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

# Not before: a run from stored features takes half of that, and its recorder has other things to
# import meanwhile.
_START_DELAY = 5.0  # seconds
_OFF = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
_INTERVAL = "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
_log = logging.getLogger(__name__)
_monitors: dict[str, Monitor] = {}


class Monitor:
    """A run that is being watched, once it has lasted.

    Parameters
    ----------
    uri, run_id : str
        Where it is recorded, and which.
    after : float
        Seconds from now after which to begin.
    """

    def __init__(self, uri: str, run_id: str, *, after: float) -> None:
        self._uri, self._run_id = uri, run_id
        self._monitor: SystemMetricsMonitor | None = None
        self._stopped = False
        self._lock = Lock()
        self._timer = Timer(after, self._begin)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Watch no longer. Wakes the thread that waits for its next look, and is back at once."""
        self._timer.cancel()
        with self._lock:
            self._stopped = True
            if self._monitor is not None:
                self._monitor.finish()  # type: ignore[no-untyped-call]

    def _begin(self) -> None:
        try:
            from mlflow.system_metrics import system_metrics_monitor as mlflows

            logging.getLogger(mlflows.__name__).setLevel(logging.ERROR)
            with self._lock:
                if not self._stopped:
                    self._monitor = mlflows.SystemMetricsMonitor(  # type: ignore[no-untyped-call]
                        self._run_id, tracking_uri=self._uri
                    )
                    self._monitor.start()  # type: ignore[no-untyped-call]
        except Exception as error:
            _log.warning("no system metrics of this run: %s", error)


def start_monitor(uri: str, run_id: str) -> None:
    """Log `system/...` metrics of a run from when it has lasted some seconds until it ends.

    How often, MLflow's `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` says (every 10 s of itself);
    `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false` switches it off. A run that ends before the first
    interval is over has none.

    Parameters
    ----------
    uri, run_id : str
        Where it is recorded, and which.
    """
    if os.environ.get(_OFF, "true").strip().lower() in ("false", "0"):
        return
    try:
        after = min(_START_DELAY, float(os.environ.get(_INTERVAL) or _START_DELAY))
    except ValueError:
        after = _START_DELAY
    _monitors[run_id] = Monitor(uri, run_id, after=after)


def stop_monitor(run_id: str) -> None:
    """Stop watching a run, if it is watched."""
    if found := _monitors.pop(run_id, None):
        try:
            found.stop()
        except Exception as error:  # MLflow is out of reach; who ends the run will say so
            _log.warning("the last system metrics of a run are missing: %s", error)

"""MLflow's system metrics for runs that take longer than a few seconds."""

from __future__ import annotations

import logging
import os
from threading import Lock, Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

# Seconds; a run with cached features takes half of that, and its sender is busy with imports.
_START_DELAY = 5.0
_ENABLE = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
_INTERVAL = "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
_log = logging.getLogger(__name__)
_monitors: dict[str, Monitor] = {}


class Monitor:
    """System metrics monitor of a run, started with a delay.

    Parameters
    ----------
    uri, run_id : str
        Tracking URI and id of the run.
    after : float
        Delay in seconds.
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
        """Stop monitoring. Wakes the monitoring thread, so it returns at once."""
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
            _log.warning("cannot log system metrics of this run: %s", error)


def start_monitor(uri: str, run_id: str) -> None:
    """Log `system/...` metrics of a run until it ends, after a delay of some seconds.

    MLflow's `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` sets the interval (10 s by default);
    `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false` disables the metrics. A run that ends before the
    end of the first interval has none.

    Parameters
    ----------
    uri, run_id : str
        Tracking URI and id of the run.
    """
    is_off = os.environ.get(_ENABLE, "true").strip().lower() in ("false", "0")
    if is_off or run_id in _monitors:  # the call is repeated after an error
        return
    try:
        after = min(_START_DELAY, float(os.environ.get(_INTERVAL) or _START_DELAY))
    except ValueError:
        after = _START_DELAY
    _monitors[run_id] = Monitor(uri, run_id, after=after)


def stop_monitor(run_id: str) -> None:
    """Stop monitoring a run, if it is monitored."""
    if monitor := _monitors.pop(run_id, None):
        try:
            monitor.stop()
        except Exception as error:  # MLflow is unreachable; ending the run reports it
            _log.warning("the last system metrics of a run are missing: %s", error)

"""MLflow's system metrics for runs that take longer than a few seconds."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

_ENABLE = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
_log = logging.getLogger(__name__)
_monitors: dict[str, SystemMetricsMonitor] = {}


def start_monitor(uri: str, run_id: str) -> None:
    """Log `system/...` metrics of a run until it ends; a failure is logged, not raised.

    MLflow's `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` sets the interval (10 s by default);
    `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false` disables the metrics. A run that ends before the
    end of the first interval has none.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    is_off = os.environ.get(_ENABLE, "true").strip().lower() in ("false", "0")
    if is_off or run_id in _monitors:  # the call is repeated after an error
        return
    try:
        monitor = SystemMetricsMonitor(run_id, tracking_uri=uri)  # type: ignore[no-untyped-call]
        monitor.start()  # type: ignore[no-untyped-call]
        _monitors[run_id] = monitor
    except Exception as error:
        _log.warning("cannot log system metrics of this run: %s", error)


def stop_monitor(run_id: str) -> None:
    """Stop monitoring a run, if it is monitored."""
    if monitor := _monitors.pop(run_id, None):
        monitor.finish()  # type: ignore[no-untyped-call]

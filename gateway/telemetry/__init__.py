"""What the gateway tells its operators: metrics, the log, drift, traces."""

from gateway.telemetry.drift import Drift
from gateway.telemetry.log import Log, open_log
from gateway.telemetry.metrics import Metrics

__all__ = ["Drift", "Log", "Metrics", "open_log"]

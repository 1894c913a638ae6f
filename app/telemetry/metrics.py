"""Definitions of the metrics: names, kinds, descriptions and labels.

https://prometheus.io/docs/practices/naming/. All label values come from fixed tables: nothing that a client sends
becomes one.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

PREFIX: Final = "echo_"


class Family(msgspec.Struct, frozen=True):
    """Metric: its full `name` (of a histogram, without `_bucket`), kind, description, and label names."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: tuple[str, ...] = ()


_FAMILIES: Final = (
    Family(
        "echo_requests_total",
        "counter",
        "Requests answered, including requested errors. `status` is a status class such as 2xx.",
        ("method", "status", "protocol", "format"),
    ),
    Family(
        "echo_request_duration_seconds",
        "histogram",
        "Seconds from request head to last response byte, including requested delays; of a WebSocket, its handshake.",
        ("protocol",),
    ),
    Family(
        "echo_grpc_calls_total",
        "counter",
        "Finished gRPC calls by status code name. `method` is other for an unknown method.",
        ("method", "code"),
    ),
    Family(
        "echo_requests_in_flight",
        "gauge",
        "Requests currently in flight.",
    ),
    Family("echo_websockets_open", "gauge", "Open WebSockets."),
    Family("echo_connections_open", "gauge", "Open connections to ECHO_PORT."),
    Family("echo_connections_limit", "gauge", "Maximum open connections: ECHO_MAX_CONNECTIONS times workers."),
    Family("echo_connections_total", "counter", "Connections accepted on ECHO_PORT."),
    Family("echo_received_bytes_total", "counter", "Bytes received on ECHO_PORT, including TLS overhead."),
    Family("echo_sent_bytes_total", "counter", "Bytes sent on ECHO_PORT, including TLS overhead."),
    Family(
        "echo_refusals_total",
        "counter",
        "Requests and connections rejected as invalid, too large, too slow or over a limit, or failed internally.",
        ("reason",),
    ),
    Family("echo_workers", "gauge", "Worker processes, including draining ones."),
    Family(
        "echo_worker_starts_total",
        "counter",
        "Worker processes started; more than echo_workers if workers have exited.",
    ),
    Family(
        "echo_draining",
        "gauge",
        "1 while a worker drains: it finishes accepted requests and accepts no new connections.",
    ),
    Family("echo_access_log_dropped_total", "counter", "Access-log lines dropped because stdout was blocked."),
    Family("echo_build_info", "info", "Version of echo and of Python.", ("version", "python")),
)
FAMILIES: Final[Mapping[str, Family]] = {family.name: family for family in _FAMILIES}

# Seconds. A minimal response takes 50 microseconds, and the maximum requested delay is a minute by default.
BUCKETS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

OTHER: Final = "other"
# Methods of RFC 9110, 9.3, and PATCH (RFC 5789).
METHODS: Final[Mapping[bytes, str]] = {
    name.encode("ascii"): name
    for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
}
REJECTION_FORMAT: Final = "refusal"  # format label of a response that is not the application's

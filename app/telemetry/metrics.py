"""The metrics that there are: their names, kinds, meanings and labels.

https://prometheus.io/docs/practices/naming/. The values of each label are bounded by tables of ours: nothing that a
client writes becomes one.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

PREFIX: Final = "echo_"


class Family(msgspec.Struct, frozen=True):
    """One metric: its whole `name` (of a histogram, without `_bucket`), kind, meaning, and the names of its labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: tuple[str, ...] = ()


_FAMILIES: Final = (
    Family(
        "echo_requests_total",
        "counter",
        "Requests that were answered, those that were to fail too. `status` is a class of them, such as 2xx.",
        ("method", "status", "protocol", "format"),
    ),
    Family(
        "echo_request_duration_seconds",
        "histogram",
        "Seconds from a request's head to the last byte of its answer, wanted delays too; of a WebSocket, its opening.",
        ("protocol",),
    ),
    Family(
        "echo_grpc_calls_total",
        "counter",
        "Calls of gRPC that have ended, by the name of their code. `method` is other where there is none of that name.",
        ("method", "code"),
    ),
    Family(
        "echo_requests_in_flight",
        "gauge",
        "Requests of which the head has come, and the answer has not left.",
    ),
    Family("echo_websockets_open", "gauge", "WebSockets that are open."),
    Family("echo_connections_open", "gauge", "Connections to ECHO_PORT that are open."),
    Family("echo_connections_limit", "gauge", "Connections that may be open: ECHO_MAX_CONNECTIONS of each worker."),
    Family("echo_connections_total", "counter", "Connections to ECHO_PORT that were accepted."),
    Family("echo_received_bytes_total", "counter", "Bytes that came on connections to ECHO_PORT, those of TLS too."),
    Family("echo_sent_bytes_total", "counter", "Bytes that were sent on connections to ECHO_PORT, those of TLS too."),
    Family(
        "echo_refusals_total",
        "counter",
        "What was not answered as asked since it can't be read, is too much, too slow, or failed here.",
        ("reason",),
    ),
    Family("echo_workers", "gauge", "Worker processes that serve, or finish what they have accepted."),
    Family("echo_worker_starts_total", "counter", "Starts of worker processes: above echo_workers, some have ended."),
    Family("echo_draining", "gauge", "1 while a worker finishes what it has accepted, and takes nothing new."),
    Family("echo_access_log_dropped_total", "counter", "Lines of the access log that nobody has read in time."),
    Family("echo_build_info", "info", "What runs: the echo's version, and Python's.", ("version", "python")),
)
FAMILIES: Final[Mapping[str, Family]] = {family.name: family for family in _FAMILIES}

# Seconds. A bare answer takes 50 microseconds, and what a client may ask for takes a minute.
BUCKETS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

OTHER: Final = "other"
# Those of RFC 9110, 9.3, and PATCH (RFC 5789).
METHODS: Final[Mapping[bytes, str]] = {
    name.encode("ascii"): name
    for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
}
REFUSAL: Final = "refusal"  # the format of an answer that is none of the application's

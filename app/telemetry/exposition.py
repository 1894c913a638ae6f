"""Exposition of metrics in Prometheus text format and OpenMetrics.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from app import __version__
from app.http.headers.accept import preferred
from app.telemetry.counters import Durations, Tally, total
from app.telemetry.metrics import BUCKETS, FAMILIES, Family

_TEXT: Final = "text/plain"
_OPENMETRICS: Final = "application/openmetrics-text"
_WRITE: Final[Mapping[str, tuple[Callable[[Collector], bytes], str]]] = {
    _TEXT: (generate_latest, CONTENT_TYPE_PLAIN_0_0_4),
    _OPENMETRICS: (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST),
}
MEDIA_TYPES: Final = tuple(_WRITE)
_BOUNDS: Final = (*map(floatToGoString, BUCKETS), "+Inf")


class Whole(Collector):
    """Collector of all metrics: the sum over the workers' tallies, and the limit of connections."""

    def __init__(self, tally: Tally, limit: int) -> None:
        self._tally = tally
        self._limit = limit

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its values."""
        told = _values(self._tally) | {"echo_connections_limit": self._limit}
        for family in FAMILIES.values():
            yield _MAKE[family.kind](family, told.get(family.name))


def _values(tally: Tally) -> dict[str, Any]:
    return {
        "echo_requests_total": {
            (method, f"{status}xx", protocol, form): count
            for (method, status, protocol, form), count in tally.requests.items()
        },
        "echo_request_duration_seconds": tally.durations,
        "echo_grpc_calls_total": tally.calls,
        "echo_requests_in_flight": tally.now.in_flight,
        "echo_websockets_open": tally.now.websockets,
        "echo_connections_open": tally.now.connections,
        "echo_connections_total": {(): tally.connections},
        "echo_received_bytes_total": {(): tally.received},
        "echo_sent_bytes_total": {(): tally.sent},
        "echo_refusals_total": {(reason,): count for reason, count in tally.refusals.items()},
        "echo_workers": tally.now.serving,
        "echo_worker_starts_total": {(): tally.starts},
        "echo_draining": int(tally.now.draining > 0),
        "echo_access_log_dropped_total": {(): tally.dropped},
    }


def _counter(family: Family, values: Mapping[tuple[str, ...], int]) -> Metric:
    metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
    for labels, value in sorted(values.items()):
        metric.add_metric(labels, value)
    return metric


def _gauge(family: Family, value: int) -> Metric:
    return GaugeMetricFamily(family.name, family.help, value)


def _histogram(family: Family, values: Mapping[str, Durations]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for label, durations in sorted(values.items()):
        buckets = list(zip(_BOUNDS, accumulate(durations.counts), strict=True))
        metric.add_metric([label], buckets, durations.seconds)
    return metric


def _info(family: Family, value: None) -> Metric:
    del value
    told = {"version": __version__, "python": platform.python_version()}
    return InfoMetricFamily(family.name.removesuffix("_info"), family.help, told)


_MAKE: Final[Mapping[str, Callable[[Family, Any], Metric]]] = {
    "counter": _counter,
    "gauge": _gauge,
    "histogram": _histogram,
    "info": _info,
}


def exposed(accept: str, tallies: Iterable[Tally], limit: int) -> tuple[bytes, str]:
    """Return the metrics and their media type, negotiated by an Accept header; the default is the text format.

    `limit` is the maximum number of connections of a worker.
    """
    write, media_type = _WRITE.get(preferred(accept, MEDIA_TYPES, _TEXT) or _TEXT, _WRITE[_TEXT])
    tally = total(tallies)
    return write(Whole(tally, tally.now.serving * limit)), media_type

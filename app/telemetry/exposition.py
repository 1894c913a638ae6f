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
from app.http.headers.accept import negotiate_media_type
from app.telemetry.counters import Counters, Histogram, sum_counters
from app.telemetry.metrics import BUCKETS, FAMILIES, Family

_TEXT: Final = "text/plain"
_OPENMETRICS: Final = "application/openmetrics-text"
_ENCODERS: Final[Mapping[str, tuple[Callable[[Collector], bytes], str]]] = {
    _TEXT: (generate_latest, CONTENT_TYPE_PLAIN_0_0_4),
    _OPENMETRICS: (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST),
}
MEDIA_TYPES: Final = tuple(_ENCODERS)
_BUCKET_LABELS: Final = (*map(floatToGoString, BUCKETS), "+Inf")


class MetricsCollector(Collector):
    """Collector of all metrics: the sum over the workers' tallies, and the limit of connections."""

    def __init__(self, counters: Counters, max_connections: int) -> None:
        self._counters = counters
        self._max_connections = max_connections

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its values."""
        values = _values(self._counters) | {"echo_connections_limit": self._max_connections}
        for family in FAMILIES.values():
            yield _METRIC_BUILDERS[family.kind](family, values.get(family.name))


def _values(counters: Counters) -> dict[str, Any]:
    return {
        "echo_requests_total": {
            (method, f"{status}xx", protocol, format_name): count
            for (method, status, protocol, format_name), count in counters.requests.items()
        },
        "echo_request_duration_seconds": counters.durations,
        "echo_grpc_calls_total": counters.grpc_calls,
        "echo_requests_in_flight": counters.gauges.in_flight,
        "echo_websockets_open": counters.gauges.websockets,
        "echo_connections_open": counters.gauges.connections,
        "echo_connections_total": {(): counters.connections},
        "echo_received_bytes_total": {(): counters.received_bytes},
        "echo_sent_bytes_total": {(): counters.sent_bytes},
        "echo_refusals_total": {(reason,): count for reason, count in counters.rejections.items()},
        "echo_workers": counters.gauges.serving,
        "echo_worker_starts_total": {(): counters.worker_starts},
        "echo_draining": int(counters.gauges.draining > 0),
        "echo_access_log_dropped_total": {(): counters.dropped_lines},
    }


def _counter(family: Family, values: Mapping[tuple[str, ...], int]) -> Metric:
    metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
    for labels, value in sorted(values.items()):
        metric.add_metric(labels, value)
    return metric


def _gauge(family: Family, value: int) -> Metric:
    return GaugeMetricFamily(family.name, family.help, value)


def _histogram(family: Family, values: Mapping[str, Histogram]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for label, durations in sorted(values.items()):
        buckets = list(zip(_BUCKET_LABELS, accumulate(durations.counts), strict=True))
        metric.add_metric([label], buckets, durations.seconds)
    return metric


def _info(family: Family, value: None) -> Metric:
    del value
    labels = {"version": __version__, "python": platform.python_version()}
    return InfoMetricFamily(family.name.removesuffix("_info"), family.help, labels)


_METRIC_BUILDERS: Final[Mapping[str, Callable[[Family, Any], Metric]]] = {
    "counter": _counter,
    "gauge": _gauge,
    "histogram": _histogram,
    "info": _info,
}


def encode_metrics(accept: str, all_counters: Iterable[Counters], max_connections: int) -> tuple[bytes, str]:
    """Return the metrics and their media type, negotiated by an Accept header; the default is the text format.

    `max_connections` is the maximum number of connections of a worker.
    """
    encode, media_type = _ENCODERS.get(negotiate_media_type(accept, MEDIA_TYPES, _TEXT) or _TEXT, _ENCODERS[_TEXT])
    counters = sum_counters(all_counters)
    return encode(MetricsCollector(counters, counters.gauges.serving * max_connections)), media_type

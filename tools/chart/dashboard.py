"""The chart's Grafana dashboard: a table of panels, and its JSON.

`python -m tools.chart.documented` writes the JSON.
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

_COLUMNS: Final = 24  # the width of a row in Grafana
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
# Matchers of every query: namespace and job are those of the release, by the monitors' labels.
_HERE: Final = 'job="$job",namespace="$namespace",pod=~"$pod"'


@dataclass(frozen=True)
class Query:
    """PromQL, in which HERE stands for the matchers of the selected pods, and the legend of a line with `{{label}}`."""

    promql: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A panel: its title, its unit in Grafana, its queries, and how to read it."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    description: str
    kind: Literal["stat", "timeseries"] = "timeseries"
    width: int = 12
    height: int = 8


def _rate(what: str) -> str:
    return f"rate({what}[$__rate_interval])"


def _quantile(share: float) -> Query:
    buckets = _rate("echo_request_duration_seconds_bucket{HERE,protocol!='websocket'}").replace("'", '"')
    return Query(f"histogram_quantile({share}, sum by (le) ({buckets}))", f"{share * 100:g} %")


PANELS: Final = (
    Panel(
        "Pods",
        "none",
        (Query("sum(up{HERE})", ""),),
        "Pods that Prometheus scrapes successfully.",
        kind="stat",
        width=4,
        height=4,
    ),
    Panel(
        "Version",
        "none",
        (Query("count by (version) (echo_build_info{HERE})", "{{version}}"),),
        "Pods by version: more than one version during a rolling update.",
        kind="stat",
        width=8,
        height=4,
    ),
    Panel(
        "In flight",
        "none",
        (Query("sum(echo_requests_in_flight{HERE})", ""),),
        "Requests currently in flight.",
        kind="stat",
        width=4,
        height=4,
    ),
    Panel(
        "Open connections",
        "percent",
        (Query("max(echo_connections_open{HERE} * 100 / echo_connections_limit{HERE})", ""),),
        "Share of the connection limit used, of the pod with the highest share. Connections above the limit get 503.",
        kind="stat",
        width=4,
        height=4,
    ),
    Panel(
        "Internal errors",
        "none",
        (Query('sum(increase(echo_refusals_total{HERE,reason="application_failed"}[1h])) or vector(0)', ""),),
        "Requests of the last hour answered with 500 that no client requested: faults of echo.",
        kind="stat",
        width=4,
        height=4,
    ),
    Panel(
        "Requests by status",
        "reqps",
        (Query(f"sum by (status) ({_rate('echo_requests_total{HERE}')})", "{{status}}"),),
        "Including errors that clients requested: 5xx here is no alarm.",
    ),
    Panel(
        "Response time",
        "s",
        tuple(map(_quantile, (0.5, 0.95, 0.99))),
        "From the request head to the last byte of the response, including requested delays; without WebSockets.",
    ),
    Panel(
        "Requests by response format",
        "reqps",
        (Query(f"sum by (format) ({_rate('echo_requests_total{HERE}')})", "{{format}}"),),
        "Chosen by Accept or echo_format.",
    ),
    Panel(
        "Requests by protocol and method",
        "reqps",
        (Query(f"sum by (protocol, method) ({_rate('echo_requests_total{HERE}')})", "{{protocol}} {{method}}"),),
        "As they arrived: shows which protocol a proxy in front uses.",
    ),
    Panel(
        "Rejected",
        "reqps",
        (Query(f"sum by (reason) ({_rate('echo_refusals_total{HERE}')})", "{{reason}}"),),
        "Requests and connections rejected as invalid, too large, too slow or over a limit, or failed, by reason.",
    ),
    Panel(
        "Bytes",
        "Bps",
        (
            Query(f"sum({_rate('echo_received_bytes_total{HERE}')})", "received"),
            Query(f"sum({_rate('echo_sent_bytes_total{HERE}')})", "sent"),
        ),
        "On the wire, including TLS overhead.",
    ),
    Panel(
        "Connections by pod",
        "none",
        (
            Query("sum by (pod) (echo_connections_open{HERE})", "{{pod}}"),
            Query("sum(echo_websockets_open{HERE})", "WebSockets of all pods"),
        ),
        "Open connections. Uneven lines: clients keep their connections open, and a Service balances only new ones.",
    ),
    Panel(
        "New connections",
        "ops",
        (Query(f"sum by (pod) ({_rate('echo_connections_total{HERE}')})", "{{pod}}"),),
        "Per second. As many as requests: clients do not reuse connections.",
    ),
    Panel(
        "Workers",
        "none",
        (
            Query("sum(echo_workers{HERE})", "workers"),
            Query("sum(increase(echo_worker_starts_total{HERE}[$__rate_interval]))", "started"),
            Query("sum(echo_draining{HERE})", "draining pods"),
        ),
        "Starts other than those of pods mean that workers exited.",
    ),
    Panel(
        "Dropped access-log lines",
        "none",
        (Query("sum by (pod) (increase(echo_access_log_dropped_total{HERE}[$__rate_interval]))", "{{pod}}"),),
        "Dropped because stdout was blocked: requests do not wait for the log.",
    ),
    Panel(
        "gRPC calls by method and code",
        "reqps",
        (Query(f"sum by (method, code) ({_rate('echo_grpc_calls_total{HERE}')})", "{{method}} {{code}}"),),
        "Including errors that clients requested. Each call is an HTTP request with status 2xx above.",
        width=_COLUMNS,
    ),
)


def _variable(name: str, query: str, *, several: bool = False) -> dict[str, Any]:
    """Return a dashboard variable, whose values are those of a label."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,  # whenever the time range changes, because pods come and go
        "sort": 1,
        "multi": several,
        "includeAll": several,
        **({"current": {"text": "All", "value": "$__all"}} if several else {}),
    }


def _placed() -> Iterator[tuple[Panel, dict[str, int]]]:
    """Yield each panel with its position, row by row from left to right."""
    x = y = 0
    for panel in PANELS:
        yield panel, {"x": x, "y": y, "w": panel.width, "h": panel.height}
        x += panel.width
        if x >= _COLUMNS:
            x, y = 0, y + panel.height


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "expr": query.promql.replace("HERE", _HERE), "legendFormat": query.legend}
        for index, query in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it, without `id`, because Grafana assigns one."""
    return {
        "uid": "echo-http",
        "title": "Echo",
        "description": "Requests, response times, connections and rejections of echo.",
        "tags": ["echo"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,  # a crosshair shared by all panels
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("namespace", "label_values(echo_build_info, namespace)"),
                _variable("job", 'label_values(echo_build_info{namespace="$namespace"}, job)'),
                _variable("pod", 'label_values(echo_build_info{namespace="$namespace",job="$job"}, pod)', several=True),
            ]
        },
        "panels": [_panel(number, *placed) for number, placed in enumerate(_placed(), 1)],
    }


def text() -> str:
    """Return the text of the dashboard's file."""
    return json.dumps(dashboard(), indent=2) + "\n"

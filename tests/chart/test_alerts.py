"""Alerts of the PrometheusRule: when each fires, and what it queries.

Each fires for its problem and for nothing else, and uses existing metrics only.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.chart import promql
from tests.chart.rendering import Manifest, chart, manifests
from tests.promtool import check_rules, try_rules
from tools.chart.documented import ALERTS

ON = ("--set", "prometheusRule.enabled=true")
SLOW = (*ON, "--set-json", "prometheusRule.slowSeconds=0.25")
SEVERITIES = {"critical", "warning"}
HERE = {"job": "echo", "namespace": "demo"}


def rules(*flags: str, **named: str) -> list[Manifest]:
    """Return the rules of the only group that is rendered with these values."""
    (group,) = chart(*flags, **named).one("PrometheusRule")["spec"]["groups"]
    return list(group["rules"])


def rule(name: str) -> Manifest:
    """Return one rule, with all alerts enabled."""
    (found,) = (each for each in rules(*SLOW, namespace="demo") if each["alert"] == name)
    return found


def of_pod(name: str, pod: str = "echo-1", **labels: str) -> str:
    """Return a series of a pod, with the labels that the monitors add."""
    told = HERE | {"pod": pod, "container": "echo", "endpoint": "admin", "instance": f"{pod}:9090"} | labels
    return series(name, told)


def series(name: str, labels: dict[str, str]) -> str:
    """Return a series in PromQL."""
    told = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{told}}}"


@dataclass(frozen=True)
class Case:
    """Samples scraped once a minute, and the alert that fires for a pod at a minute; `alert` empty: none."""

    series: dict[str, str]
    minute: int
    alert: str = ""
    pods: tuple[str, ...] = ()
    severity: str = "warning"
    labels: dict[str, str] = field(default_factory=lambda: HERE)

    def firing(self) -> list[str]:
        """Return promtool's expectation for each alert that fires."""
        common = {"alertname": self.alert, "alertstate": "firing", "severity": self.severity, **self.labels}
        every = [common | {"pod": pod} for pod in self.pods] or ([common] if self.alert else [])
        return [series("ALERTS", each) for each in every]


UP = {of_pod("up"): "1x120"}
FAILED = of_pod("echo_refusals_total", reason="application_failed")
STARTS = of_pod("echo_worker_starts_total")
DROPPED = of_pod("echo_access_log_dropped_total")


def connections(pod: str, values: str) -> dict[str, str]:
    """Return the connections of a pod whose limit is a hundred."""
    return {of_pod("echo_connections_open", pod): values, of_pod("echo_connections_limit", pod): "100x60"}


def durations(protocol: str, slow: int) -> dict[str, str]:
    """Return a hundred requests per minute: `slow` ones took a second, all others a millisecond at most."""
    quick = f"0+{100 - slow}x60"
    buckets = {"0.001": quick, "0.1": quick, "1.0": "0+100x60", "+Inf": "0+100x60"}
    name = "echo_request_duration_seconds_bucket"
    return {of_pod(name, protocol=protocol, le=le): values for le, values in buckets.items()}


CASES = {
    "all is well": Case(UP | {STARTS: "1x120", DROPPED: "0x120"} | connections("echo-1", "3x60"), 60),
    # EchoDown
    "no pod answers": Case({of_pod("up"): "1x5 0x20", of_pod("up", "echo-2"): "0x25"}, 11, "EchoDown", (), "critical"),
    "no pod has answered for less than five minutes": Case({of_pod("up"): "1x5 0x20"}, 10),
    "one of two answers": Case({of_pod("up"): "0x25", of_pod("up", "echo-2"): "1x25"}, 25),
    "there is nothing to ask": Case({of_pod("up", job="other"): "1x25"}, 6, "EchoDown", (), "critical"),
    "the same elsewhere is down": Case(UP | {of_pod("up", namespace="other"): "0x25"}, 25),
    # EchoErrors
    "a first failure": Case(UP | {FAILED: "_x10 1x20"}, 12, "EchoErrors"),
    "another failure": Case(UP | {FAILED: "5x40 6x20"}, 43, "EchoErrors"),
    "failures of two pods": Case(
        UP | {FAILED: "5x40 6x20", FAILED.replace("echo-1", "echo-2"): "_x40 1x20"}, 43, "EchoErrors"
    ),
    "failures of long ago": Case(UP | {FAILED: "5x90"}, 60),
    "what a client is refused": Case(UP | {of_pod("echo_refusals_total", reason="bad_request"): "0+10x60"}, 60),
    "failures that were asked for": Case(UP | {of_pod("echo_requests_total", status="5xx"): "0+10x60"}, 60),
    # EchoConnectionsNearLimit
    "many connections of one pod": Case(
        UP | connections("echo-1", "81x20") | connections("echo-2", "1x20"), 6, "EchoConnectionsNearLimit", ("echo-1",)
    ),
    "many connections of two": Case(
        UP | connections("echo-1", "81x20") | connections("echo-2", "99x20"),
        *(6, "EchoConnectionsNearLimit", ("echo-1", "echo-2")),
    ),
    "as many connections as there may be before it is told": Case(UP | connections("echo-1", "80x20"), 20),
    "many connections for four minutes": Case(UP | connections("echo-1", "1x5 99x20"), 10),
    # EchoWorkerRestarts
    "three workers started": Case(UP | {STARTS: "1x70 2 3 4x60"}, 75, "EchoWorkerRestarts", ("echo-1",)),
    "two workers started": Case(UP | {STARTS: "1x70 2 3x60"}, 75),
    "a new pod with four workers": Case(UP | {STARTS: "_x30 4x60"}, 40),
    "three workers started, of two pods": Case(
        UP | {STARTS: "1x70 2x60", STARTS.replace("echo-1", "echo-2"): "1x70 2 3x60"}, 75
    ),
    # EchoSlow
    "two of a hundred are slow": Case(UP | durations("HTTP/1.1", 2), 30, "EchoSlow"),
    "two of a hundred are slow, but not for long": Case(UP | durations("HTTP/1.1", 2), 9),
    "none is slow": Case(UP | durations("HTTP/2.0", 0), 30),
    "a WebSocket is slow": Case(UP | durations("HTTP/1.1", 0) | durations("websocket", 50), 30),
    # EchoAccessLogDropped
    "lines were dropped": Case(UP | {DROPPED: "0x20 3x40"}, 25, "EchoAccessLogDropped", ("echo-1",)),
    "lines were dropped long ago": Case(UP | {DROPPED: "0x20 3x40"}, 40),
}


def inputs(scraped: dict[str, str]) -> list[dict[str, str]]:
    """Return the samples in promtool's format."""
    return [{"series": name, "values": values} for name, values in scraped.items()]


def as_test(name: str, case: Case) -> dict[str, Any]:
    """Return a case in promtool's format: these alerts fire, and no others."""
    firing = [{"labels": each, "value": 1} for each in case.firing()]
    expected = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{case.minute}m", "exp_samples": firing}
    return {"name": name, "interval": "1m", "input_series": inputs(case.series), "promql_expr_test": [expected]}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return the failures of each case, all tested in one run."""
    groups = [{"name": "echo", "rules": rules(*SLOW, namespace="demo")}]
    tests = [as_test(name, case) for name, case in CASES.items()]
    return try_rules(groups, tests, tmp_path_factory.mktemp("alerts"))


@pytest.mark.parametrize("name", CASES)
def test_only_this_alert_fires(name: str, tried: dict[str, list[str]]) -> None:
    """The expected alert fires for the expected pods, after the expected time, and no other does."""
    assert tried[name] == []


def test_every_alert_is_tried() -> None:
    """Each alert fires in one case, and stays silent in another one that is similar."""
    assert {case.alert for case in CASES.values()} == {"", *ALERTS}
    assert sum(not case.alert for case in CASES.values()) > 6


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    """Each alert has a severity, and three texts: a line, a sentence, and what to check."""
    alert = rule(name)
    assert re.fullmatch("Echo[A-Z][A-Za-z]+", alert["alert"])
    assert alert["labels"]["severity"] in SEVERITIES
    texts = alert["annotations"]
    assert set(texts) == {"summary", "description", "runbook"}
    assert len(texts["summary"]) < 100
    assert all(texts[name].endswith(".") for name in ("description", "runbook"))
    assert not re.search(r"__\w+__", str(alert))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_looks_at_what_there_is(name: str) -> None:
    """Alerts use echo's metrics and labels of these; their texts name labels that the alert has."""
    alert = rule(name)
    assert promql.mistakes(alert["expr"]) == []
    named = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
    assert named <= promql.grouped_by(alert["expr"])
    for selector in promql.selectors_of(alert["expr"]):
        matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        assert (matchers["job"], matchers["namespace"]) == ("echo", "demo")


@pytest.mark.parametrize("source", ["the chart", "k8s"])
def test_prometheus_takes_the_rules(source: str, tmp_path: Path) -> None:
    """Prometheus accepts their PromQL and the templates in their texts, also those of the manifests."""
    made = chart(*SLOW) if source == "the chart" else manifests("overlays/monitoring")
    check_rules(made.one("PrometheusRule")["spec"]["groups"], tmp_path)


def test_the_texts_are_filled_in(tmp_path: Path) -> None:
    """The texts contain the pod, the number, and the namespace if there is one."""
    texts = {
        "EchoDown": "No pod of echo has responded to a scrape for five minutes in the namespace demo.",
        "EchoConnectionsNearLimit": "The pod uses 81 % of its connection limit. Connections above the limit get 503.",
    }
    labels = {
        "EchoDown": HERE | {"severity": "critical"},
        "EchoConnectionsNearLimit": HERE | {"severity": "warning", "pod": "echo-1"},
    }
    shortened = [
        each | {"annotations": {"description": each["annotations"]["description"]}} for each in map(rule, texts)
    ]
    expected = {
        name: [{"exp_labels": labels[name], "exp_annotations": {"description": text}}] for name, text in texts.items()
    }
    test = {
        "name": "texts",
        "interval": "1m",
        "input_series": inputs(connections("echo-1", "81x20")),
        "alert_rule_test": [
            {"alertname": name, "eval_time": "6m", "exp_alerts": alerts} for name, alerts in expected.items()
        ],
    }
    assert try_rules([{"name": "echo", "rules": shortened}], [test], tmp_path) == {"texts": []}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, ["EchoDown", "EchoErrors", "EchoConnectionsNearLimit", "EchoWorkerRestarts", "EchoAccessLogDropped"]),
        (
            {"disabled": "{EchoDown,EchoErrors,EchoAccessLogDropped}", "slowSeconds": "1"},
            ["EchoConnectionsNearLimit", "EchoWorkerRestarts", "EchoSlow"],
        ),
    ],
)
def test_alerts_can_be_left_out(values: dict[str, str], names: list[str]) -> None:
    """Alerts can be disabled by name; EchoSlow is enabled by its threshold, because a client may request a delay."""
    flags = [flag for name, value in values.items() for flag in ("--set", f"prometheusRule.{name}={value}")]
    assert [each["alert"] for each in rules(*ON, *flags)] == names


def test_thresholds_labels_and_series_can_be_chosen() -> None:
    """They apply to every alert that has them; a custom severity replaces the chart's."""
    values = {
        "connectionsPercent": 50,
        "workerRestarts": 0,
        "slowSeconds": 2,
        "alertLabels": {"severity": "page", "team": "web"},
        "selector": 'app="{{ .Release.Name }}"',
    }
    flags = (f"--set-json=prometheusRule.{name}={json.dumps(value)}" for name, value in values.items())
    found = {each["alert"]: each for each in rules(*ON, *flags)}
    assert found["EchoConnectionsNearLimit"]["expr"].endswith(" > 50")
    assert found["EchoWorkerRestarts"]["expr"].endswith(" > 0")
    assert found["EchoSlow"]["expr"].endswith(" > 2")
    assert "above the limit of 2 s" in found["EchoSlow"]["annotations"]["description"]
    assert all(each["labels"] == {"severity": "page", "team": "web"} for each in found.values())
    assert all('{app="echo"' in each["expr"] for each in found.values())


def test_every_alert_of_the_file_is_one_of_the_chart() -> None:
    """Every alert of the file is in the chart and can be disabled by its name."""
    assert [each["alert"] for each in rules(*SLOW)] == ALERTS

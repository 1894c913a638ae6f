"""The alerts of the PrometheusRule: each fires for what it is for, for nothing else, and looks at what there is."""

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
    """Give the rules of the one group that is rendered with these values."""
    (group,) = chart(*flags, **named).one("PrometheusRule")["spec"]["groups"]
    return list(group["rules"])


def rule(name: str) -> Manifest:
    """Give one rule, with all alerts on."""
    (found,) = (each for each in rules(*SLOW, namespace="demo") if each["alert"] == name)
    return found


def of_pod(name: str, pod: str = "echo-1", **labels: str) -> str:
    """Give a series of a pod, as the monitors have it scraped."""
    told = HERE | {"pod": pod, "container": "echo", "endpoint": "admin", "instance": f"{pod}:9090"} | labels
    return series(name, told)


def series(name: str, labels: dict[str, str]) -> str:
    """Give a series as PromQL has it."""
    told = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{told}}}"


@dataclass(frozen=True)
class Case:
    """What is scraped once a minute, and which alert fires at a minute, of which pod; `alert` empty: none."""

    series: dict[str, str]
    minute: int
    alert: str = ""
    pods: tuple[str, ...] = ()
    severity: str = "warning"
    labels: dict[str, str] = field(default_factory=lambda: HERE)

    def firing(self) -> list[str]:
        """Give what Prometheus has of each alert that fires."""
        common = {"alertname": self.alert, "alertstate": "firing", "severity": self.severity, **self.labels}
        every = [common | {"pod": pod} for pod in self.pods] or ([common] if self.alert else [])
        return [series("ALERTS", each) for each in every]


UP = {of_pod("up"): "1x120"}
FAILED = of_pod("echo_refusals_total", reason="application_failed")
STARTS = of_pod("echo_worker_starts_total")
DROPPED = of_pod("echo_access_log_dropped_total")


def connections(pod: str, values: str) -> dict[str, str]:
    """Give the connections of a pod that may have a hundred."""
    return {of_pod("echo_connections_open", pod): values, of_pod("echo_connections_limit", pod): "100x60"}


def durations(protocol: str, slow: int) -> dict[str, str]:
    """Give a hundred requests a minute, of which all but `slow` took a millisecond at most, the others a second."""
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
    """Give what is scraped as promtool reads it."""
    return [{"series": name, "values": values} for name, values in scraped.items()]


def as_test(name: str, case: Case) -> dict[str, Any]:
    """Give a case as promtool reads it: that these fire, and no others."""
    firing = [{"labels": each, "value": 1} for each in case.firing()]
    expected = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{case.minute}m", "exp_samples": firing}
    return {"name": name, "interval": "1m", "input_series": inputs(case.series), "promql_expr_test": [expected]}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Give what is not as it should be, for each case, tried all at once."""
    groups = [{"name": "echo", "rules": rules(*SLOW, namespace="demo")}]
    tests = [as_test(name, case) for name, case in CASES.items()]
    return try_rules(groups, tests, tmp_path_factory.mktemp("alerts"))


@pytest.mark.parametrize("name", CASES)
def test_only_this_alert_fires(name: str, tried: dict[str, list[str]]) -> None:
    """For as long as it should, of those that it should, and no other."""
    assert tried[name] == []


def test_every_alert_is_tried() -> None:
    """Each fires in one of the cases, and stays silent in another that is near it."""
    assert {case.alert for case in CASES.values()} == {"", *ALERTS}
    assert sum(not case.alert for case in CASES.values()) > 6


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    """By a severity, and three texts: in a line, in a sentence, and what to look at."""
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
    """At metrics of the echo, by labels that they have; its texts name labels that it has."""
    alert = rule(name)
    assert promql.mistakes(alert["expr"]) == []
    named = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
    assert named <= promql.grouped_by(alert["expr"])
    for selector in promql.selectors_of(alert["expr"]):
        matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        assert (matchers["job"], matchers["namespace"]) == ("echo", "demo")


@pytest.mark.parametrize("source", ["the chart", "k8s"])
def test_prometheus_takes_the_rules(source: str, tmp_path: Path) -> None:
    """Their PromQL and the templates in their texts; those of the manifests as well."""
    made = chart(*SLOW) if source == "the chart" else manifests("overlays/monitoring")
    check_rules(made.one("PrometheusRule")["spec"]["groups"], tmp_path)


def test_the_texts_are_filled_in(tmp_path: Path) -> None:
    """With the pod, the number, and the namespace where there is one."""
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
    """By name; that of slow answers is asked for by what is slow, since a client may ask for a delay."""
    flags = [flag for name, value in values.items() for flag in ("--set", f"prometheusRule.{name}={value}")]
    assert [each["alert"] for each in rules(*ON, *flags)] == names


def test_thresholds_labels_and_series_can_be_chosen() -> None:
    """They come to every alert that has them; a severity of one's own replaces the chart's."""
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
    """And can be left out by its name."""
    assert [each["alert"] for each in rules(*SLOW)] == ALERTS

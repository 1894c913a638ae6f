"""Checks of metrics and rules, tested with known faults."""

from pathlib import Path

import pytest

from tests.promtool import check_metrics, check_rules, try_rules
from tools.commands import CommandError

METRICS = """\
# HELP echo_requests_total Requests that were answered.
# TYPE echo_requests_total counter
echo_requests_total{method="GET"} 1
"""
GROUPS = [{"name": "a", "rules": [{"alert": "Down", "expr": "up == 0", "labels": {"severity": "critical"}}]}]


def firing(name: str, up: str, expected: list[str]) -> dict[str, object]:
    """Return a rule test: which samples of the alert are expected for a series of `up`."""
    samples = [{"labels": labels, "value": 1} for labels in expected]
    expression = {"expr": "ALERTS", "eval_time": "1m", "exp_samples": samples}
    return {"name": name, "input_series": [{"series": "up", "values": up}], "promql_expr_test": [expression]}


def test_metrics_without_fault_are_told_none() -> None:
    """Metrics without a fault get no findings by Prometheus' own conventions."""
    assert check_metrics(METRICS) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (METRICS.replace("_total", ""), 'echo_requests counter metrics should have "_total" suffix'),
        (METRICS.partition("\n")[2], "echo_requests_total no help text"),
    ],
)
def test_metrics_with_a_fault_are_told_it(text: str, said: str) -> None:
    """Each fault in metrics is reported in one line."""
    assert check_metrics(text) == [said]


def test_what_can_not_be_read_is_no_verdict() -> None:
    """Metrics that can't be parsed raise an error, rather than pass."""
    with pytest.raises(CommandError, match="can't read"):
        check_metrics("echo_requests_total{ 1\n")


@pytest.mark.parametrize("expression", ["sum(up", "nothing(up)"])
def test_rules_that_prometheus_would_not_load_are_refused(expression: str, tmp_path: Path) -> None:
    """Rules that Prometheus would not load are rejected with the reason."""
    check_rules(GROUPS, tmp_path)
    with pytest.raises(CommandError, match="could not parse expression"):
        check_rules([{"name": "a", "rules": [{"alert": "Down", "expr": expression}]}], tmp_path)


def test_rules_are_tried_on_series(tmp_path: Path) -> None:
    """A test whose alert fires unexpectedly, or does not fire, is reported by name."""
    alert = 'ALERTS{alertname="Down",alertstate="firing",severity="critical"}'
    tests = [
        firing("fires", "0 0", [alert]),
        firing("silent", "1 1", []),
        firing("too loud", "0 0", []),
        firing("too silent", "1 1", [alert]),
    ]
    found = try_rules(GROUPS, tests, tmp_path)
    assert [name for name, failures in found.items() if failures] == ["too loud", "too silent"]

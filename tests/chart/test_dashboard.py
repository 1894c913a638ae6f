"""The Grafana dashboard: valid for Grafana, with existing metrics only."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.telemetry.metrics import FAMILIES
from tests.chart import promql
from tests.chart.rendering import chart
from tests.promtool import check_rules
from tools.chart.documented import DASHBOARD

SHOWN = json.loads(DASHBOARD.read_text())
PANELS = SHOWN["panels"]
QUERIES = [
    pytest.param(target, id=f"{panel['title']}, {target['refId']}") for panel in PANELS for target in panel["targets"]
]
VARIABLES = {each["name"]: each for each in SHOWN["templating"]["list"]}
# https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
UNITS = {"Bps", "none", "ops", "percent", "reqps", "s"}
# Variables that Grafana sets itself.
OWN = {"__rate_interval": "5m"}


def put_in(text: str) -> str:
    """Return an expression as Grafana sends it, with its variables replaced."""
    return re.sub(r"\$(\w+)", lambda match: OWN.get(match[1], "chosen"), text)


def test_the_dashboard_has_what_grafana_needs() -> None:
    """It has a stable uid, no id of another Grafana, and a variable for the data source."""
    assert SHOWN["uid"]
    assert "id" not in SHOWN
    assert (VARIABLES["datasource"]["type"], VARIABLES["datasource"]["query"]) == ("datasource", "prometheus")
    assert list(VARIABLES) == ["datasource", "namespace", "job", "pod"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    """Each panel has a title, a unit, a description and the selected data source; each of several lines has a name."""
    assert panel["title"]
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert re.fullmatch(r"[A-Z].+\.", panel["description"])
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["type"] == "stat" or all(target["legendFormat"] for target in panel["targets"])


def test_panels_have_names_and_places_of_their_own() -> None:
    """No panel overlaps another one or leaves the page, and titles are unique."""
    assert len({panel["title"] for panel in PANELS}) == len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in PANELS):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("target", QUERIES)
def test_each_query_looks_at_what_there_is(target: dict[str, str]) -> None:
    """Queries use echo's metrics with labels that these have, and legends use labels of the result."""
    assert promql.mistakes(put_in(target["expr"])) == []
    named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
    assert named <= promql.grouped_by(put_in(target["expr"]))


def test_each_query_is_of_what_was_chosen() -> None:
    """Each query uses every variable, and none that does not exist."""
    for target in (target for panel in PANELS for target in panel["targets"]):
        assert set(re.findall(r"\$(\w+)", target["expr"])) - set(OWN) == {"namespace", "job", "pod"}
        for selector in promql.selectors_of(put_in(target["expr"])):
            assert {"namespace", "job", "pod"} <= {matcher.name for matcher in selector.matchers.matchers}


def test_each_query_is_promql_to_prometheus(tmp_path: Path) -> None:
    """Prometheus accepts all queries as recording rules."""
    texts = [put_in(target["expr"]) for panel in PANELS for target in panel["targets"]]
    rules = [{"record": f"dashboard:query:{number}", "expr": text} for number, text in enumerate(texts)]
    check_rules([{"name": "dashboard", "rules": rules}], tmp_path)


def test_the_variables_are_of_what_there_is() -> None:
    """They query a metric that each pod always has."""
    for each in list(VARIABLES.values())[1:]:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"]["query"])
        assert asked
        assert asked[2] == each["name"]
        assert promql.mistakes(put_in(asked[1])) == []


def test_every_metric_has_a_place() -> None:
    """Every metric is in a panel, so that a new one must be added."""
    shown = {name for panel in PANELS for target in panel["targets"] for name in promql.metrics(put_in(target["expr"]))}
    assert shown == {promql.UP, *FAMILIES}


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("rate(echo_request_total[5m])", "no metric is called 'echo_request_total'"),
        ("echo_request_duration_seconds", "no metric is called 'echo_request_duration_seconds'"),
        ("echo_workers_bucket", "no metric is called 'echo_workers_bucket'"),
        ('echo_workers{state="idle"}', "echo_workers has no label state"),
        ("sum by (code) (echo_requests_total)", "echo_requests_total has no label code to group by"),
        ('echo_refusals_total{reason="failed"}', "reason is never 'failed'"),
    ],
)
def test_what_there_is_not_would_be_seen(text: str, mistake: str) -> None:
    """Control: misspelled metrics, labels and words are detected."""
    assert promql.mistakes(text) == [mistake]


def test_the_sidecar_finds_it_under_the_releases_name() -> None:
    """It is a ConfigMap with the sidecar's label, in the configured namespace, with the dashboard unchanged."""
    flags = ("--set", "grafanaDashboard.enabled=true,grafanaDashboard.namespace=grafana")
    found = chart(*flags, release="demo").one("ConfigMap")
    assert found["metadata"]["name"] == "demo-echo-dashboard"
    assert found["metadata"]["namespace"] == "grafana"
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {name: json.loads(text) for name, text in found["data"].items()} == {"demo-echo.json": SHOWN}

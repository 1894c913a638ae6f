"""Prometheus monitors of the pods, and the Service of the ServiceMonitor."""

from typing import Any

import pytest

from app.config.settings import Settings
from tests.chart.rendering import Manifest, Objects, chart, manifests

MONITORS = {"podMonitor": ("PodMonitor", "podMetricsEndpoints"), "serviceMonitor": ("ServiceMonitor", "endpoints")}
EACH = pytest.mark.parametrize("name", MONITORS)


def monitored(name: str, *values: str, **named: str) -> Objects:
    """Return the objects with one of the monitors enabled, and with values of it."""
    chosen = ",".join((f"{name}.enabled=true", *(f"{name}.{value}" for value in values)))
    return chart("--set", chosen, **named)


def endpoint(objects: Objects, name: str) -> dict[str, Any]:
    """Return how a monitor scrapes each pod."""
    kind, endpoints = MONITORS[name]
    (found,) = objects.one(kind)["spec"][endpoints]
    return dict(found)


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Return whether a selector matches these labels."""
    matched: dict[str, str] = selector["matchLabels"]
    return matched.items() <= labels.items()


@EACH
def test_a_monitor_is_there_only_when_it_is_on(name: str) -> None:
    """The only other object is the Service that a ServiceMonitor selects."""
    before = {(each["kind"], each["metadata"]["name"]) for each in chart().all}
    after = {(each["kind"], each["metadata"]["name"]) for each in monitored(name).all}
    service = {("Service", "echo-metrics")} if name == "serviceMonitor" else set()
    assert after - before == {(MONITORS[name][0], "echo")} | service


def test_the_pods_are_found_by_their_labels_and_port() -> None:
    """The monitors select echo's pods, and not the pod of `helm test`, and the container's admin port."""
    objects = monitored("podMonitor")
    selector = objects.one("PodMonitor")["spec"]["selector"]
    pod = objects.one("Deployment")["spec"]["template"]
    assert selects(selector, pod["metadata"]["labels"])
    assert not selects(selector, objects.hook()["metadata"]["labels"])
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    assert ports[endpoint(objects, "podMonitor")["port"]] == Settings().admin_port


def test_a_service_of_its_own_leads_to_the_admin_port() -> None:
    """It is headless, so that each pod is scraped; the clients' Service is not selected, and has no such port."""
    objects = monitored("serviceMonitor")
    metrics, server = (objects.one("Service", component) for component in ("metrics", "server"))
    selector = objects.one("ServiceMonitor")["spec"]["selector"]
    assert selects(selector, metrics["metadata"]["labels"])
    assert not selects(selector, server["metadata"]["labels"])
    assert metrics["spec"]["clusterIP"] == "None"
    assert metrics["spec"]["selector"] == server["spec"]["selector"]
    (port,) = metrics["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == (
        endpoint(objects, "serviceMonitor")["port"],
        Settings().admin_port,
        "admin",
    )
    assert server == chart().one("Service")


def test_the_services_name_is_not_too_long() -> None:
    """A Service's name has at most 63 characters, whatever the release is called."""
    objects = monitored("serviceMonitor", release="r" * 53)
    name = objects.one("Service", "metrics")["metadata"]["name"]
    assert name.endswith("-metrics")
    assert len(name) <= 63


@EACH
def test_the_series_have_one_job_by_each_way(name: str) -> None:
    """The job is the name of the objects, which alerts and dashboard use; custom relabelings follow."""
    own = {"action": "replace", "targetLabel": "job", "replacement": "demo-echo"}
    assert endpoint(monitored(name, release="demo"), name) == {
        "port": "admin" if name == "podMonitor" else "metrics",
        "path": "/metrics",
        "relabelings": [own],
    }
    found = endpoint(
        monitored(name, "relabelings[0].targetLabel=team", "relabelings[0].replacement=web", release="demo"), name
    )
    assert found["relabelings"] == [own, {"targetLabel": "team", "replacement": "web"}]


@EACH
def test_how_often_it_asks_can_be_chosen(name: str) -> None:
    """Without an interval, Prometheus' default applies."""
    found = endpoint(monitored(name, "interval=1m", "scrapeTimeout=5s", "metricRelabelings[0].action=drop"), name)
    assert (found["interval"], found["scrapeTimeout"]) == ("1m", "5s")
    assert found["metricRelabelings"] == [{"action": "drop"}]


@EACH
def test_a_monitor_elsewhere_looks_where_the_pods_are(name: str) -> None:
    """It selects the release's namespace; in the same namespace, the default, it needs no selector."""
    kind = MONITORS[name][0]
    elsewhere = monitored(name, "namespace=monitoring", namespace="demo").one(kind)
    assert elsewhere["metadata"]["namespace"] == "monitoring"
    assert elsewhere["spec"]["namespaceSelector"] == {"matchNames": ["demo"]}
    beside = monitored(name, namespace="demo").one(kind)
    assert beside["metadata"]["namespace"] == "demo"
    assert "namespaceSelector" not in beside["spec"]


def test_the_manifests_have_what_kube_prometheus_stack_looks_for() -> None:
    """Its operator selects objects with the label of its release, its Grafana those with the sidecar's."""
    objects = manifests("overlays/monitoring")
    for kind in ("PodMonitor", "PrometheusRule"):
        assert objects.one(kind)["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert objects.one("ConfigMap")["metadata"]["labels"]["grafana_dashboard"] == "1"

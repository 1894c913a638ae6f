"""Objects around the pods: names, labels, Service, ServiceAccount."""

import pytest
import yaml

from tests.chart.rendering import CHART, Manifest, Objects, chart, manifests, template, value_sets

SELECTOR = {"app.kubernetes.io/name": "echo", "app.kubernetes.io/instance": "echo"}
BOTH = pytest.mark.parametrize("objects", ["helm", "k8s"], indirect=True)


@pytest.fixture
def objects(request: pytest.FixtureRequest) -> Objects:
    """Return the objects of the chart, or those of the manifests."""
    return chart() if request.param == "helm" else manifests()


def selects(selector: dict[str, str], pod: Manifest) -> bool:
    """Return whether a Service with this selector sends requests to this pod."""
    labels: dict[str, str] = pod["metadata"]["labels"]
    return selector.items() <= labels.items()


def names(rendered: Objects) -> set[tuple[str, str]]:
    """Return each object's kind and name."""
    return {(manifest["kind"], manifest["metadata"]["name"]) for manifest in rendered.all}


@pytest.mark.parametrize(
    ("release", "flags", "name"),
    [
        pytest.param("echo", (), "echo", id="the release is called echo"),
        pytest.param("my-echo", (), "my-echo", id="the release's name has echo in it"),
        pytest.param("demo", (), "demo-echo", id="another release"),
        pytest.param("demo", ("--set", "nameOverride=mirror"), "demo-mirror", id="nameOverride"),
        pytest.param("demo", ("--set", "fullnameOverride=mirror"), "mirror", id="fullnameOverride"),
        pytest.param("demo", ("--set-string", "fullnameOverride=on"), "on", id="a name that YAML would misread"),
        pytest.param(
            "r" * 53,
            ("--set", "nameOverride=" + "n" * 20),
            "r" * 53 + "-" + "n" * 9,
            id="as long as a Service's can be",
        ),
    ],
)
def test_every_object_has_the_same_name(release: str, flags: tuple[str, ...], name: str) -> None:
    """The name is the release's, followed by the chart's unless it contains it already."""
    assert names(chart(*flags, release=release)) == {
        ("ServiceAccount", name),
        ("Service", name),
        ("Deployment", name),
        ("PodDisruptionBudget", name),
        ("Pod", f"{name}-test"),
    }


def test_a_release_named_like_a_number_has_labels_that_are_strings() -> None:
    """Labels are strings, whatever the release is called."""
    for manifest in chart("--set=fullnameOverride=echo", release="123").all:
        assert manifest["metadata"]["labels"]["app.kubernetes.io/instance"] == "123"


@BOTH
def test_the_selector_is_name_and_instance_alone(objects: Objects) -> None:
    """A Deployment's selector is immutable, so it has nothing that a release could change."""
    assert objects.one("Deployment")["spec"]["selector"] == {"matchLabels": SELECTOR}
    assert objects.one("Service")["spec"]["selector"] == SELECTOR


@BOTH
def test_the_service_finds_the_pods(objects: Objects) -> None:
    """The selectors of the Service and the Deployment match the pods' labels."""
    deployment = objects.one("Deployment")["spec"]
    assert selects(objects.one("Service")["spec"]["selector"], deployment["template"])
    assert selects(deployment["selector"]["matchLabels"], deployment["template"])


@pytest.mark.parametrize("flags", [(), ("--set", "nameOverride=mirror")], ids=["by default", "nameOverride"])
def test_the_service_does_not_find_the_pod_of_helm_test(flags: tuple[str, ...]) -> None:
    """No request is sent to a pod that does not respond."""
    rendered = chart(*flags)
    assert not selects(rendered.one("Service")["spec"]["selector"], rendered.hook())


def test_every_object_has_the_recommended_labels() -> None:
    """https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ and Helm's own."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    for manifest in chart().all:
        labels = manifest["metadata"]["labels"]
        assert set(labels) == {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/version",
            "app.kubernetes.io/component",
            "app.kubernetes.io/part-of",
            "app.kubernetes.io/managed-by",
            "helm.sh/chart",
        }
        assert labels["app.kubernetes.io/version"] == about["appVersion"]
        assert labels["app.kubernetes.io/part-of"] == "echo"
        assert labels["helm.sh/chart"] == f"echo-{about['version']}"


def test_a_new_chart_alone_replaces_no_pod() -> None:
    """The pods' labels have nothing of the chart's own version."""
    labels = chart().one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert "helm.sh/chart" not in labels
    assert SELECTOR.items() <= labels.items()


@BOTH
def test_the_service_has_port_80_and_not_the_admin_port(objects: Objects) -> None:
    """Port 80 leads to the pods' port `http`, by name; no port leads to the admin port."""
    service = objects.one("Service")["spec"]
    assert service["type"] == "ClusterIP"
    assert service["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]


def test_the_services_type_and_port_can_be_chosen() -> None:
    """service.type and service.port are applied; the pods' port stays the same."""
    service = chart("--set", "service.type=NodePort", "--set", "service.port=8000").one("Service")["spec"]
    assert service["type"] == "NodePort"
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(8000, "http")]


@BOTH
def test_the_account_hands_out_no_token(objects: Objects) -> None:
    """Neither the ServiceAccount nor the pods mount one, and the pods use this account."""
    account = objects.one("ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    used = objects.one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    assert used == account["metadata"]["name"] == "echo"


@pytest.mark.parametrize(
    ("flags", "made", "used"),
    [
        pytest.param(("serviceAccount.name=own",), ["own"], "own", id="made, by another name"),
        pytest.param(("serviceAccount.create=false",), [], "default", id="none made, none named"),
        pytest.param(("serviceAccount.create=false", "serviceAccount.name=own"), [], "own", id="one that exists"),
    ],
)
def test_the_account_can_be_chosen(flags: tuple[str, ...], made: list[str], used: str) -> None:
    """All pods use the named account, and it is created only if enabled."""
    rendered = chart("--set", ",".join(flags))
    accounts = [each["metadata"]["name"] for each in rendered.all if each["kind"] == "ServiceAccount"]
    assert accounts == made
    assert {pod["spec"]["serviceAccountName"] for pod in rendered.pods().values()} == {used}


def test_every_object_of_the_chart_names_the_namespace_of_the_release() -> None:
    """Also the hook: output of `helm template -n demo` is applied to demo, whatever the current namespace is."""
    for flags in ((), ("--values", str(value_sets()["all"]))):
        found = [each for each in chart(*flags, namespace="demo").all if each["kind"] != "ConfigMap" or not flags]
        assert {each["metadata"].get("namespace") for each in found} == {"demo"}
    dashboard = chart("--set", "grafanaDashboard.enabled=true", namespace="demo").one("ConfigMap")
    assert dashboard["metadata"]["namespace"] == "demo"


def test_no_object_of_the_manifests_names_a_namespace() -> None:
    """`kubectl apply -k k8s -n demo` and `namespace:` of a kustomization select it."""
    assert not [each["metadata"] for each in manifests().all if "namespace" in each["metadata"]]


def test_rendering_twice_gives_the_same_bytes() -> None:
    """Nothing in the chart is random or depends on the time: an upgrade without a change changes nothing."""
    assert template() == template()


def test_the_service_leads_to_tls_when_it_is_served() -> None:
    """A port of its own leads to the same port of the pods."""
    ports = chart("--set", "tls.secretName=echo-tls,service.tlsPort=8443").one("Service")["spec"]["ports"]
    assert [(each["name"], each["port"], each["targetPort"]) for each in ports] == [
        ("http", 80, "http"),
        ("https", 8443, "http"),
    ]
    assert len(chart().one("Service")["spec"]["ports"]) == 1

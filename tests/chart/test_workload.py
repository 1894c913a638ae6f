"""The pods: user, environment, start, probes and shutdown."""

import re
from typing import Any

import pytest

from app import __version__
from app.config import downward_api
from app.config.downward_api import PodInfo
from app.config.settings import Settings
from tests.chart.rendering import Manifest, chart, manifests

DOWNWARD_API = {
    "POD_NAME": "metadata.name",
    "NAMESPACE": "metadata.namespace",
    "NODE_NAME": "spec.nodeName",
    "POD_IP": "status.podIP",
    "HOST_IP": "status.hostIP",
    "SERVICE_ACCOUNT": "spec.serviceAccountName",
    "NODE_ZONE": "metadata.labels['topology.kubernetes.io/zone']",
    "NODE_REGION": "metadata.labels['topology.kubernetes.io/region']",
    "IMAGE": "metadata.annotations['echo-image']",
    "SERVICE_NAME": "metadata.annotations['echo-service']",
    "POD_LABEL_0": "metadata.labels['app.kubernetes.io/name']",
    "POD_LABEL_1": "metadata.labels['app.kubernetes.io/instance']",
    "POD_LABEL_2": "metadata.labels['app.kubernetes.io/version']",
    "POD_LABEL_3": "metadata.labels['pod-template-hash']",
}
# Values that the chart itself knows.
TOLD = {
    "ECHO_DRAIN_SECONDS": "10",
    "POD_LABELS": "app.kubernetes.io/name=$(POD_LABEL_0),app.kubernetes.io/instance=$(POD_LABEL_1),"
    "app.kubernetes.io/version=$(POD_LABEL_2),pod-template-hash=$(POD_LABEL_3)",
}
# Fields of a pod that the restricted profile forbids or limits; our pods have none of them.
REFUSED_IN_POD = ("hostNetwork", "hostPID", "hostIPC", "volumes", "initContainers", "ephemeralContainers")
PODS = [("helm", "Deployment echo"), ("helm", "Pod echo-test"), ("k8s", "Deployment echo")]


@pytest.fixture
def pod(source: str, maker: str) -> Manifest:
    """Return a pod of the chart or of the manifests, by the object that creates it."""
    return (chart() if source == "helm" else manifests()).pods()[maker]


def spec(*flags: str) -> Manifest:
    """Return the spec of the pods that run echo."""
    found: Manifest = chart(*flags).one("Deployment")["spec"]["template"]["spec"]
    return found


def container(*flags: str) -> Manifest:
    """Return the only container of the pods that run echo."""
    (found,) = spec(*flags)["containers"]
    return dict(found)


def environment(*flags: str) -> dict[str, Any]:
    """Return the environment by name: a value, or the path of a field of the downward API."""
    return {
        variable["name"]: variable["value"] if "value" in variable else variable["valueFrom"]["fieldRef"]["fieldPath"]
        for variable in container(*flags)["env"]
    }


def test_every_maker_of_pods_is_looked_at() -> None:
    """The pods below are those of the chart, including the pod of `helm test`, and those of the manifests."""
    makers = [("helm", maker) for maker in chart().pods()] + [("k8s", maker) for maker in manifests().pods()]
    assert makers == PODS


@pytest.mark.parametrize(("source", "maker"), PODS)
class TestEveryPod:
    """Properties of each pod, including the one of `helm test`."""

    def test_meets_the_restricted_profile(self, pod: Manifest) -> None:
        """It meets the restricted profile: https://kubernetes.io/docs/concepts/security/pod-security-standards/."""
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not [name for name in REFUSED_IN_POD if pod["spec"].get(name)]
        for each in pod["spec"]["containers"]:
            own = each["securityContext"]
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            # The container has nothing that would override the pod's settings.
            assert set(own) == {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"}
            assert not [port for port in each.get("ports", []) if "hostPort" in port]

    def test_runs_as_the_images_user_by_number(self, pod: Manifest) -> None:
        """It runs as 10001:10001, by number, because the kubelet can't determine whether a user name is root's."""
        security = pod["spec"]["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (10001, 10001)

    def test_has_a_root_file_system_that_is_only_read(self, pod: Manifest) -> None:
        """No container can write to its image's files."""
        assert all(each["securityContext"]["readOnlyRootFilesystem"] is True for each in pod["spec"]["containers"])

    def test_holds_no_token(self, pod: Manifest) -> None:
        """The pod can't call the API server."""
        assert pod["spec"]["automountServiceAccountToken"] is False

    def test_is_not_told_of_services(self, pod: Manifest) -> None:
        """A Service named `echo` does not become ECHO_PORT=tcp://... in its environment."""
        assert pod["spec"]["enableServiceLinks"] is False

    def test_asks_for_little_and_has_a_memory_limit_and_no_cpu_limit(self, pod: Manifest) -> None:
        """It has requests for both, a memory limit, and is never throttled."""
        for each in pod["spec"]["containers"]:
            assert set(each["resources"]["requests"]) == {"cpu", "memory"}
            assert set(each["resources"]["limits"]) == {"memory"}

    def test_takes_the_image_that_the_node_has(self, pod: Manifest) -> None:
        """An image that was loaded onto the node is used without contacting a registry."""
        assert [each["imagePullPolicy"] for each in pod["spec"]["containers"]] == ["IfNotPresent"]


def test_the_two_ports_are_the_services_own() -> None:
    """The container's ports are the defaults of ECHO_PORT and ECHO_ADMIN_PORT, which the chart does not change."""
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"http": Settings().port, "admin": Settings().admin_port} == {"http": 8080, "admin": 9090}
    assert not {"ECHO_PORT", "ECHO_ADMIN_PORT"} & environment().keys()


def test_the_drain_is_by_default_the_services_own() -> None:
    """The default of drainSeconds is the default of ECHO_DRAIN_SECONDS."""
    assert float(environment()["ECHO_DRAIN_SECONDS"]) == Settings().drain_seconds


def test_the_downward_api_tells_where_it_runs() -> None:
    """Pod, namespace, node, addresses, account, zone, region and selected labels are in the environment.

    The only other variable is the drain. Image and Service are from annotations, with the running image.
    """
    assert environment() == DOWNWARD_API | TOLD
    for source in (chart(), manifests()):
        pod = source.one("Deployment")["spec"]["template"]
        assert pod["metadata"]["annotations"] == {"echo-image": f"echo:{__version__}", "echo-service": "echo"}


def running(labels: dict[str, str], *flags: str) -> PodInfo:
    """Return what echo reports about itself in a pod with these labels, in an environment like the kubelet's.

    `$(NAME)` is replaced by a variable that was defined before it; a label that the pod lacks is empty.
    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """
    annotations = chart(*flags).one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    made: dict[str, str] = {}
    for name, value in environment(*flags).items():
        field = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", value)
        known = {"labels": labels, "annotations": annotations}[field[1]].get(field[2], "") if field else value
        made[name] = re.sub(r"\$\((\w+)\)", lambda match: made[match[1]], known)
    return downward_api.read_pod_info(made)


def test_the_reflection_shows_the_labels_that_were_chosen() -> None:
    """Labels of the pod are shown by their names; one that it lacks is absent, and so is one that was not selected."""
    labels = {"app.kubernetes.io/name": "echo", "pod-template-hash": "7d4b9c6f5", "tier": "edge"}
    by_default = running(labels).kubernetes.labels
    assert by_default == {"app.kubernetes.io/name": "echo", "pod-template-hash": "7d4b9c6f5"}
    chosen = ("--set", "reflectedLabels={tier,absent}")
    assert running(labels, *chosen).kubernetes.labels == {"tier": "edge"}


def test_no_label_needs_to_be_shown() -> None:
    """With an empty list there are no variables for labels."""
    assert not any("POD_LABEL" in name for name in environment("--set-json", "reflectedLabels=[]"))


def test_the_image_and_the_service_are_those_of_the_release() -> None:
    """That holds whatever the release is called, and wherever the image comes from."""
    flags = ("--set", "fullnameOverride=shown,image.repository=example.test/a/echo,image.tag=v9")
    told = running({}, *flags)
    assert told.kubernetes.image == container(*flags)["image"] == "example.test/a/echo:v9"
    assert told.service == chart(*flags).one("Service")["metadata"]["name"] == "shown"


def test_liveness_and_start_are_probed_by_livez_and_readiness_by_readyz() -> None:
    """Every probe uses the admin port, by its name: the other one echoes any request."""
    probes = {name: container()[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert probes == {
        "startup": {"path": "/livez", "port": "admin"},
        "liveness": {"path": "/livez", "port": "admin"},
        "readiness": {"path": "/readyz", "port": "admin"},
    }


@pytest.mark.parametrize("name", ["startup", "liveness", "readiness"])
def test_a_probe_may_ask_by_grpc(name: str) -> None:
    """It uses the number of the port that serves gRPC; the other probes stay the same."""
    found = container("--set", f"probes.{name}.grpc=true")
    assert found[f"{name}Probe"]["grpc"] == {"port": 8080}
    by = {each: set(found[f"{each}Probe"]) & {"grpc", "httpGet"} for each in ("startup", "liveness", "readiness")}
    assert by == {each: {"grpc" if each == name else "httpGet"} for each in by}


def test_readiness_is_asked_more_often_than_liveness() -> None:
    """Readiness changes within seconds; a restart requires half a minute without a response."""
    readiness, liveness = container()["readinessProbe"], container()["livenessProbe"]
    assert readiness["periodSeconds"] <= 2
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 30
    assert container()["startupProbe"]["periodSeconds"] == 1


def test_a_slow_start_has_a_minute() -> None:
    """The start is probed for at least sixty seconds before the container is restarted."""
    startup = container()["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60


@pytest.mark.parametrize(
    ("flags", "pre_stop", "drain", "grace"),
    [
        pytest.param((), 5, 10, 20, id="by default"),
        pytest.param(("--set", "preStopSeconds=15"), 15, 10, 30, id="a longer sleep"),
        pytest.param(("--set", "drainSeconds=60"), 5, 60, 70, id="a longer drain"),
    ],
)
def test_the_grace_period_holds_the_sleep_the_drain_and_a_margin(
    flags: tuple[str, ...], pre_stop: int, drain: int, grace: int
) -> None:
    """For any values of the two, SIGKILL is sent five seconds after both."""
    assert container(*flags)["lifecycle"] == {"preStop": {"sleep": {"seconds": pre_stop}}}
    assert environment(*flags)["ECHO_DRAIN_SECONDS"] == str(drain)
    assert spec(*flags)["terminationGracePeriodSeconds"] == grace


def test_without_a_sleep_there_is_no_hook() -> None:
    """A sleep of zero seconds, which older clusters reject, is omitted."""
    assert "lifecycle" not in container("--set", "preStopSeconds=0")
    assert spec("--set", "preStopSeconds=0")["terminationGracePeriodSeconds"] == 15


def test_a_rollout_never_has_fewer_pods_than_asked_for() -> None:
    """There are two pods, and a new one is ready before an old one is terminated."""
    deployment = chart().one("Deployment")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }


def test_tls_is_served_from_a_secret() -> None:
    """It is mounted as a read-only folder, so that the pod sees updates; without it there is no volume."""
    flags = ("--set", "tls.secretName=echo-tls")
    assert spec(*flags)["volumes"] == [{"name": "tls", "secret": {"secretName": "echo-tls", "defaultMode": 0o444}}]
    assert container(*flags)["volumeMounts"] == [{"name": "tls", "mountPath": "/tls", "readOnly": True}]
    told = {each["name"]: each.get("value") for each in container(*flags)["env"] if "TLS" in each["name"]}
    assert told == {"ECHO_TLS_CERT": "/tls/tls.crt", "ECHO_TLS_KEY": "/tls/tls.key"}
    assert "volumes" not in spec()
    assert not any("TLS" in each["name"] for each in container()["env"])


def test_clients_certificates_are_asked_for_by_the_secrets_authority() -> None:
    """It is the file that cert-manager puts beside the certificate."""
    flags = ("--set", "tls.secretName=echo-tls,tls.clientAuth=request")
    told = {each["name"]: each.get("value") for each in container(*flags)["env"]}
    assert (told["ECHO_TLS_CLIENT_CA"], told["ECHO_TLS_CLIENT_AUTH"]) == ("/tls/ca.crt", "request")


def test_every_variable_of_the_service_is_one_of_its_settings() -> None:
    """An unknown name in the environment would prevent its start."""
    known = {f"ECHO_{name.upper()}" for name in Settings.__struct_fields__}
    flags = ("--set", "tls.secretName=echo-tls,tls.clientAuth=request")
    assert {each["name"] for each in container(*flags)["env"] if each["name"].startswith("ECHO_")} <= known

"""Values that the schema accepts, and mistakes that it rejects by name."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.chart.rendering import CHART, HOOK, HelmError, chart, read, template, umbrella

DIGEST = "sha256:" + "0123456789abcdef" * 4

MISTAKES = {
    "a value that is none": ("replicas=3", "'replicas'"),
    "replicaCount is no number": ("replicaCount=two", "replicaCount"),
    "replicaCount is negative": ("replicaCount=-1", "replicaCount"),
    "an unknown key of image": ("image.name=echo", "'name'"),
    "an empty repository": ("image.repository=", "repository"),
    "a tag with a colon": ("image.tag=a:b", "tag"),
    "a pull policy that is none": ("image.pullPolicy=Sometimes", "pullPolicy"),
    "an unknown key of service": ("service.ports=80", "'ports'"),
    "a port out of range": ("service.port=65536", "port"),
    "a TLS port out of range": ("service.tlsPort=0", "tlsPort"),
    "an unknown key of tls": ("tls.secret=a", "'secret'"),
    "a Secret's name with capitals": ("tls.secretName=Echo", "secretName"),
    "client certificates without TLS": ("tls.clientAuth=require", "secretName"),
    "a way to ask clients that is none": ("tls.clientAuth=perhaps", "clientAuth"),
    "a type that is none": ("service.type=External", "type"),
    "an unknown key of serviceAccount": ("serviceAccount.automount=true", "'automount'"),
    "create is no boolean": ("serviceAccount.create=perhaps", "create"),
    "a misspelled drain": ("dranSeconds=3", "'dranSeconds'"),
    "a drain of nothing": ("drainSeconds=0", "drainSeconds"),
    "a drain with a unit": ("drainSeconds=10s", "drainSeconds"),
    "a label that is none": ("reflectedLabels={a'b}", "reflectedLabels"),
    "a label with two slashes": ("reflectedLabels={a/b/c}", "reflectedLabels"),
    "a label twice": ("reflectedLabels={tier,tier}", "reflectedLabels"),
    "a negative sleep": ("preStopSeconds=-1", "preStopSeconds"),
    "an unknown key of resources": ("resources.request.cpu=1", "'request'"),
    "an amount that is none": ("resources.requests.cpu=true", "cpu"),
    "a name with capitals": ("fullnameOverride=Echo", "fullnameOverride"),
    "a name that is too long": ("fullnameOverride=" + "e" * 64, "fullnameOverride"),
    "a chart's name that starts with a digit": ("nameOverride=1echo", "nameOverride"),
    "a digest that is cut off": ("image.digest=sha256:0123", "/image/digest"),
    "a digest of another kind": ("image.digest=md5:" + "0" * 64, "/image/digest"),
    "a Secret's name with capitals, to pull with": ("imagePullSecrets={Registry}", "/imagePullSecrets/0"),
    "a Secret without a name": ("imagePullSecrets[0].secret=registry", "/imagePullSecrets/0"),
    "an unknown key of a probe": ("probes.startup.period=1", "'period'"),
    "a probe that never asks": ("probes.liveness.periodSeconds=0", "/probes/liveness/periodSeconds"),
    "a strategy that is none": ("updateStrategy.type=Blue", "/updateStrategy/type"),
    "an unknown key of the strategy": ("updateStrategy.rollingUpdate.surge=1", "'surge'"),
    "more than all of the pods": ("podDisruptionBudget.maxUnavailable=101%", "/podDisruptionBudget/maxUnavailable"),
    "an eviction policy that is none": (
        "podDisruptionBudget.unhealthyPodEvictionPolicy=Never",
        "unhealthyPodEvictionPolicy",
    ),
    "an autoscaler of none": ("autoscaling.minReplicas=0", "/autoscaling/minReplicas"),
    "a Gateway without a name": ("httpRoute.parentRefs[0].namespace=infra", "/httpRoute/parentRefs/0"),
    "an unknown key of a Gateway's reference": ("httpRoute.parentRefs[0].section=web", "'section'"),
    "an Ingress's host that is only a text": ("ingress.hosts={echo.example.test}", "/ingress/hosts/0"),
    "a path that does not begin with a slash": ("ingress.hosts[0].paths[0].path=a", "/ingress/hosts/0/paths/0/path"),
    "a port that is none": ("ingress.servicePort=http2", "/ingress/servicePort"),
    "a network without its size": ("service.loadBalancerSourceRanges={192.0.2.1}", "/service/loadBalancerSourceRanges"),
    "an address that is none": ("service.clusterIP=none", "/service/clusterIP"),
    "a duration of cert-manager without a unit": ("tls.certificate.duration=90", "/tls/certificate/duration"),
    "a label with a space": ("podLabels.tier=a b", "/podLabels/tier"),
    "a label that ends with a dash": ("commonLabels.tier=a-", "/commonLabels/tier"),
    "a label that is too long": ("podLabels.tier=" + "a" * 64, "/podLabels/tier"),
    "a label that is a list": ("podLabels.tier={a}", "/podLabels/tier"),
    "an annotation that is a map": ("podAnnotations.tier.a=b", "/podAnnotations/tier"),
    "a node label with a space": ("nodeSelector.disk=a b", "/nodeSelector/disk"),
    "a variable with an equals sign": ("extraEnv[0].name=A=b", "/extraEnv/0/name"),
    "a variable that is a map": ("extraEnv[0].name=A,extraEnv[0].value.a=b", "/extraEnv/0/value"),
    "an unknown key of a variable": ("extraEnv[0].name=A,extraEnv[0].valeu=b", "'valeu'"),
    "a ConfigMap without a reference": ("envFrom[0].configMap=a", "'configMap'"),
    "a toleration that is a text": ("tolerations={all}", "/tolerations/0"),
    "seconds that are a text": ("tolerations[0].tolerationSeconds=long", "/tolerations/0/tolerationSeconds"),
    "an unknown kind of affinity": ("affinity.hostAffinity.a=b", "'hostAffinity'"),
    "a user that is a name": ("podSecurityContext.runAsUser=root", "/podSecurityContext/runAsUser"),
    "an unknown key of a security context": ("securityContext.privilege=true", "'privilege'"),
    "an unknown kind of volume": ("extraVolumes[0].name=a,extraVolumes[0].configmap.name=b", "'configmap'"),
    "a mount without a path": ("extraVolumeMounts[0].name=a", "/extraVolumeMounts/0"),
    "a container without a name": ("extraContainers[0].image=a", "/extraContainers/0"),
    "a port of a container that is a text": (
        "extraContainers[0].name=a,extraContainers[0].ports[0].containerPort=web",
        "/extraContainers/0/ports/0/containerPort",
    ),
    "an unknown hook": ("lifecycle.preStart.sleep.seconds=1", "'preStart'"),
    "a peer of a NetworkPolicy that is a text": ("networkPolicy.httpFrom={ingress}", "/networkPolicy/httpFrom/0"),
    "an autoscaling metric without a type": ("autoscaling.metrics[0].resource.name=cpu", "/autoscaling/metrics/0"),
    "an unknown key of a group in a group": ("tls.certificate.issuerRef.issuer=a", "'issuer'"),
    "an interval without a unit": ("podMonitor.interval=30", "/podMonitor/interval"),
    "an alert that is none": ("prometheusRule.disabled={EchoUp}", "/prometheusRule/disabled/0"),
    "connections of all percent": ("prometheusRule.connectionsPercent=100", "/prometheusRule/connectionsPercent"),
    "rules that look at everything": ("prometheusRule.selector=", "/prometheusRule/selector"),
    "a variable without a name": ("extraEnv[0].value=a", "/extraEnv/0"),
    "an object that is none": ("extraObjects={1}", "/extraObjects/0"),
}


@pytest.mark.parametrize(("setting", "named"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_refused_by_name(setting: str, named: str) -> None:
    """Nothing is rendered, and the message names the mistake."""
    with pytest.raises(HelmError) as refusal:
        template("--set", setting)
    assert named in str(refusal.value)


def test_a_tag_that_looks_like_a_number_is_refused_as_one() -> None:
    """`tag: 1.10` is the number 1.1 in YAML: it is rejected, so that no other image is pulled."""
    with pytest.raises(HelmError, match="tag"):
        template("--set-json", "image.tag=1.10")


def test_replicas_and_image_can_be_chosen() -> None:
    """The number of pods and their image are applied, the image to every pod."""
    objects = chart(
        "--set", "replicaCount=3,image.repository=example.test:5000/a/echo,image.tag=v9,image.pullPolicy=Always"
    )
    assert objects.one("Deployment")["spec"]["replicas"] == 3
    containers = [each for pod in objects.pods().values() for each in pod["spec"]["containers"]]
    assert {(each["image"], each["imagePullPolicy"]) for each in containers} == {
        ("example.test:5000/a/echo:v9", "Always")
    }


def test_resources_can_be_chosen_and_taken_away() -> None:
    """An amount is added to the defaults or replaces one; null removes one."""
    objects = chart("--set", "resources.limits.cpu=1,resources.limits.memory=256Mi,resources.requests.memory=null")
    (container,) = objects.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"cpu": 1, "memory": "256Mi"}, "requests": {"cpu": "50m"}}


# Every value of 0.1.0, changed; those of `echo` have been renamed, and test_validation.py has the errors.
OF_0_1_0 = """
replicaCount: 3
image: {repository: example.test/echo, tag: v9, pullPolicy: Always}
nameOverride: mirror
serviceAccount: {create: true, name: own}
service: {type: NodePort, port: 8000, tlsPort: 8443}
tls: {secretName: echo-tls, clientAuth: request}
drainSeconds: 30
reflectedLabels: [tier]
preStopSeconds: 15
resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {memory: 256Mi}}
"""


def test_the_values_of_the_version_before_still_do_what_they_did(tmp_path: Path) -> None:
    """An upgrade requires no changes to them."""
    (tmp_path / "values.yaml").write_text(OF_0_1_0)
    objects = chart("--values", str(tmp_path / "values.yaml"), release="demo")
    deployment, service = objects.one("Deployment"), objects.one("Service")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    assert deployment["metadata"]["name"] == service["metadata"]["name"] == "demo-mirror"
    assert deployment["spec"]["replicas"] == 3
    assert (container["image"], container["imagePullPolicy"]) == ("example.test/echo:v9", "Always")
    assert pod["serviceAccountName"] == objects.one("ServiceAccount")["metadata"]["name"] == "own"
    assert service["spec"]["type"] == "NodePort"
    assert [(each["name"], each["port"]) for each in service["spec"]["ports"]] == [("http", 8000), ("https", 8443)]
    assert pod["volumes"][0]["secret"]["secretName"] == "echo-tls"
    assert (told["ECHO_TLS_CLIENT_AUTH"], told["ECHO_DRAIN_SECONDS"]) == ("request", "30")
    assert told["POD_LABELS"] == "tier=$(POD_LABEL_0)"
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 15}}}
    assert pod["terminationGracePeriodSeconds"] == 50
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "32Mi"},
        "limits": {"memory": "256Mi"},
    }


def test_it_can_be_a_subchart(tmp_path: Path) -> None:
    """A parent chart may pass `global` values and the usual condition `enabled`."""
    chart = umbrella(tmp_path, **{"global": {"team": "a"}, "echo": {"enabled": True}})
    assert "kind: Deployment" in template(chart=chart)
    assert "kind: Deployment" not in template("--set", "echo.enabled=false", chart=chart)


def test_global_registry_and_pull_secrets_of_a_parent_chart_apply(tmp_path: Path) -> None:
    """They apply to every pod; the parent's pull secrets come first, without duplicates."""
    shared = {"imageRegistry": "mirror.example.test", "imagePullSecrets": ["mirror", {"name": "own"}]}
    own = {"imagePullSecrets": [{"name": "own"}, "other"], "image": {"repository": "a.example.test:5000/team/echo"}}
    rendered = read(template(chart=umbrella(tmp_path, **{"global": shared, "echo": own})))
    for pod in rendered.pods().values():
        assert [each["image"] for each in pod["spec"]["containers"]] == ["mirror.example.test/team/echo:0.1.0"]
        assert pod["spec"]["imagePullSecrets"] == [{"name": "mirror"}, {"name": "own"}, {"name": "other"}]


@pytest.mark.parametrize(
    ("flags", "user"),
    [
        pytest.param((), 10001, id="by default"),
        pytest.param(("--api-versions=security.openshift.io/v1",), None, id="detected"),
        pytest.param(("--set=echo.openshift=true",), None, id="set"),
        pytest.param(
            ("--set=echo.openshift=false", "--api-versions=security.openshift.io/v1"),
            10001,
            id="set, against the cluster",
        ),
        pytest.param(("--set=echo.openshift=true,echo.podSecurityContext.runAsUser=7",), 7, id="a user of the values"),
    ],
)
def test_openshift_gets_no_fixed_user(tmp_path: Path, flags: tuple[str, ...], user: int | None) -> None:
    """Also from a parent chart, where null does not remove a default with Helm 4; the rest of the context stays."""
    for pod in read(template(*flags, chart=umbrella(tmp_path))).pods().values():
        security = pod["spec"]["securityContext"]
        assert security.get("runAsUser") == user
        assert security.get("runAsGroup") == (10001 if user == 10001 else None)
        assert security["runAsNonRoot"] is True


def test_an_older_cluster_is_rejected() -> None:
    """Below 1.27, fields that the chart sets are unknown: the chart fails, so that they are not dropped silently."""
    with pytest.raises(HelmError, match="kubeVersion"):
        template("--kube-version", "1.26.9")
    assert template("--kube-version", "1.27.0-gke.1")


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        pytest.param({"registry": "a.example.test:5000"}, "a.example.test:5000/echo:0.1.0", id="a registry"),
        pytest.param({"tag": f"v9@{DIGEST}"}, f"echo:v9@{DIGEST}", id="a digest in the tag"),
        pytest.param({"tag": f"@{DIGEST}"}, f"echo@{DIGEST}", id="a digest alone in the tag"),
        pytest.param({"tag": f"v9@{DIGEST}", "digest": DIGEST}, f"echo:v9@{DIGEST}", id="the same digest twice"),
    ],
)
def test_the_image_can_be_written_as_tools_write_it(image: dict[str, str], reference: str) -> None:
    """Renovate and image updaters set the tag with its digest."""
    for pod in chart("--set-json", f"image={json.dumps(image)}").pods().values():
        assert [each["image"] for each in pod["spec"]["containers"]] == [reference]


def test_numbers_and_booleans_become_strings() -> None:
    """That holds for labels, annotations, node labels and environment variables, also of other containers."""
    values = {
        "podLabels": {"tier": 1, "edge": True},
        "podAnnotations": {"port": 9090, "size": 1000000, "share": 0.5},
        "nodeSelector": {"gpu": False},
        "extraEnv": [{"name": "A", "value": 1000000}, {"name": "B", "value": False}, {"name": "C", "value": ""}],
        "extraContainers": [{"name": "beside", "image": "a", "env": [{"name": "A", "value": 5}]}],
    }
    flags = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    pod = chart(*flags).one("Deployment")["spec"]["template"]
    assert {"tier": "1", "edge": "true"}.items() <= pod["metadata"]["labels"].items()
    assert {"port": "9090", "size": "1000000", "share": "0.5"}.items() <= pod["metadata"]["annotations"].items()
    assert pod["spec"]["nodeSelector"] == {"gpu": "false"}
    service, beside = pod["spec"]["containers"]
    assert service["env"][-3:] == [
        {"name": "A", "value": "1000000"},
        {"name": "B", "value": "false"},
        {"name": "C", "value": ""},
    ]
    assert beside["env"] == [{"name": "A", "value": "5"}]


def test_the_test_pod_has_labels_and_annotations_of_its_own() -> None:
    """They can keep it out of a mesh; its hook annotations stay."""
    hook = chart(
        "--set-json",
        'testPod={"labels":{"sidecar.istio.io/inject":false},"annotations":{"helm.sh/hook":"other","a":"b"}}',
    ).hook()
    assert hook["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert hook["metadata"]["annotations"]["a"] == "b"
    assert hook["metadata"]["annotations"][HOOK] == "test"
    assert "sidecar.istio.io/inject" not in chart().one("Deployment")["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("version", "label", "tag"),
    [
        ("1.2.3-rc.1+build.7", "1.2.3-rc.1_build.7", "1.2.3-rc.1_build.7"),
        (f"1.0.0-{'a' * 56}.b", f"1.0.0-{'a' * 56}", f"1.0.0-{'a' * 56}.b"),
    ],
)
def test_labels_and_tag_of_any_version_are_valid(tmp_path: Path, version: str, label: str, tag: str) -> None:
    """They have at most 63 characters, are alphanumeric at both ends, and have no plus sign."""
    copied = shutil.copytree(CHART, tmp_path / "echo")
    about = (copied / "Chart.yaml").read_text().replace('"0.1.0"', f'"{version}"').replace(" 0.1.0", f" {version}")
    (copied / "Chart.yaml").write_text(about)
    found = read(template(chart=copied, release="a.release-that-ends-with.dots"))
    for each in found.all:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/version"] == label
        assert all(re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value) for value in labels.values())
    (container,) = found.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"echo:{tag}"
    assert found.one("Service")["metadata"]["name"] == "a-release-that-ends-with-dots-echo"

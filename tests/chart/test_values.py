"""What may be set: the schema takes what it should, and refuses mistakes by name."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import CHART, HelmError, chart, template

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
    "a setting that is none": ("echo.dranSeconds=3", "'dranSeconds'"),
    "a drain of nothing": ("echo.drainSeconds=0", "drainSeconds"),
    "a drain with a unit": ("echo.drainSeconds=10s", "drainSeconds"),
    "a label that is none": ("echo.labels={a'b}", "labels"),
    "a label with two slashes": ("echo.labels={a/b/c}", "labels"),
    "a label twice": ("echo.labels={tier,tier}", "labels"),
    "a negative sleep": ("preStopSeconds=-1", "preStopSeconds"),
    "an unknown key of resources": ("resources.request.cpu=1", "'request'"),
    "an amount that is none": ("resources.requests.cpu=true", "cpu"),
    "a name with capitals": ("fullnameOverride=Echo", "fullnameOverride"),
    "a name that is too long": ("fullnameOverride=" + "e" * 64, "fullnameOverride"),
    "a chart's name that starts with a digit": ("nameOverride=1echo", "nameOverride"),
    "a digest that is cut off": ("image.digest=sha256:0123", "/image/digest"),
    "a digest of another kind": ("image.digest=md5:" + "0" * 64, "/image/digest"),
    "a Secret that is named without its key": ("imagePullSecrets={registry}", "/imagePullSecrets/0"),
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
    "a label that is a number": ("podLabels.tier=1", "/podLabels/tier"),
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
    """Nothing is rendered, and the message names what is wrong."""
    with pytest.raises(HelmError) as refusal:
        template("--set", setting)
    assert named in str(refusal.value)


def test_a_tag_that_looks_like_a_number_is_refused_as_one() -> None:
    """`tag: 1.10` is the number 1.1 in YAML: it is refused, rather than another image pulled."""
    with pytest.raises(HelmError, match="tag"):
        template("--set-json", "image.tag=1.10")


def test_replicas_and_image_can_be_chosen() -> None:
    """The number of pods and their image are followed, the image by every pod."""
    objects = chart(
        "--set", "replicaCount=3,image.repository=example.test:5000/a/echo,image.tag=v9,image.pullPolicy=Always"
    )
    assert objects.one("Deployment")["spec"]["replicas"] == 3
    containers = [each for pod in objects.pods().values() for each in pod["spec"]["containers"]]
    assert {(each["image"], each["imagePullPolicy"]) for each in containers} == {
        ("example.test:5000/a/echo:v9", "Always")
    }


def test_resources_can_be_chosen_and_taken_away() -> None:
    """An amount is added to the defaults or replaces one; null takes one away."""
    objects = chart("--set", "resources.limits.cpu=1,resources.limits.memory=256Mi,resources.requests.memory=null")
    (container,) = objects.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"cpu": 1, "memory": "256Mi"}, "requests": {"cpu": "50m"}}


# Every value that 0.1.0 had, changed, and what it made of it.
OF_0_1_0 = """
replicaCount: 3
image: {repository: example.test/echo, tag: v9, pullPolicy: Always}
nameOverride: mirror
serviceAccount: {create: true, name: own}
service: {type: NodePort, port: 8000, tlsPort: 8443}
tls: {secretName: echo-tls, clientAuth: request}
echo: {drainSeconds: 30, labels: [tier]}
preStopSeconds: 15
resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {memory: 256Mi}}
"""


def test_the_values_of_the_version_before_still_do_what_they_did(tmp_path: Path) -> None:
    """Who upgrades needs to change none of them."""
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
    """A parent chart may give it `global` values and the usual condition `enabled`."""
    shutil.copytree(CHART, tmp_path / "charts" / "echo")
    dependency = {"name": "echo", "version": "0.1.0", "condition": "echo.enabled"}
    about = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(about))
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({"global": {"team": "a"}, "echo": {"enabled": True}}))
    assert "kind: Deployment" in template(chart=tmp_path)
    assert "kind: Deployment" not in template("--set", "echo.enabled=false", chart=tmp_path)


def test_an_older_cluster_is_refused() -> None:
    """Below 1.27 fields that the chart sets are unknown: the chart says so rather than have them dropped."""
    with pytest.raises(HelmError, match="kubeVersion"):
        template("--kube-version", "1.26.9")
    assert template("--kube-version", "1.27.0-gke.1")

"""Contradictory values of the chart, and the errors that they cause.

Nothing is rendered, and a sentence says what to set instead.
"""

import re

import pytest

from tests.chart.rendering import CHART, HelmError, Rendered, render_at_once, template

TLS = "tls.secretName=echo-tls"
TOO_NEW = ("--set", "service.trafficDistribution=PreferClose", "--kube-version", "1.30.0")

# Values that are labels; all are set at once, and each is reported.
LABELS = (
    "autoscaling.labels",
    "commonLabels",
    "deployment.labels",
    "grafanaDashboard.labels",
    "grpcRoute.labels",
    "httpRoute.labels",
    "ingress.labels",
    "networkPolicy.labels",
    "podDisruptionBudget.labels",
    "podLabels",
    "podMonitor.labels",
    "prometheusRule.labels",
    "service.labels",
    "serviceAccount.labels",
    "serviceMonitor.labels",
    "testPod.labels",
    "tls.certificate.labels",
)

# By test id: the flags of --set, and the expected error.
ERRORS = {
    "client certificates without TLS": (
        "tls.clientAuth=require",
        "tls.clientAuth=require needs TLS: set tls.secretName",
    ),
    "a Certificate without an Issuer": (
        "tls.certificate.enabled=true",
        "set tls.certificate.issuerRef.name to an Issuer's name",
    ),
    "two certificates": (
        f"{TLS},config.ECHO_TLS_CERT=/a,config.ECHO_TLS_KEY=/b",
        "config.ECHO_TLS_CERT or config.ECHO_TLS_KEY, name two certificates: remove one of them",
    ),
    "clients' certificates in two ways": (
        f"{TLS},tls.clientAuth=require,config.ECHO_TLS_CLIENT_CA=/a",
        "tls.clientAuth, and config.ECHO_TLS_CLIENT_CA or config.ECHO_TLS_CLIENT_AUTH, contradict each other",
    ),
    "a certificate without its key": (
        "config.ECHO_TLS_CERT=/a",
        "config.ECHO_TLS_CERT and config.ECHO_TLS_KEY go together: set both",
    ),
    "a key without its certificate": (
        "config.ECHO_TLS_KEY=/a",
        "config.ECHO_TLS_CERT and config.ECHO_TLS_KEY go together: set both",
    ),
    "only TLS, without any": (
        "config.ECHO_TLS_ONLY=on",
        "config.ECHO_TLS_ONLY and config.ECHO_TLS_CLIENT_CA need a certificate",
    ),
    "only TLS, as YAML has it": (
        "config.ECHO_TLS_ONLY=true",
        "config.ECHO_TLS_ONLY and config.ECHO_TLS_CLIENT_CA need a certificate",
    ),
    "an authority without TLS": (
        "config.ECHO_TLS_CLIENT_CA=/a",
        "config.ECHO_TLS_ONLY and config.ECHO_TLS_CLIENT_CA need a certificate",
    ),
    "a node's port in the cluster alone": (
        "service.nodePort=30080",
        "set service.type to NodePort or LoadBalancer",
    ),
    "a policy for what comes from outside": (
        "service.externalTrafficPolicy=Local",
        "service.externalTrafficPolicy is for clients outside the cluster",
    ),
    "a headless load balancer": (
        "service.clusterIP=None,service.port=8080,service.type=LoadBalancer",
        "makes a headless Service, which cannot be a LoadBalancer: set service.type to ClusterIP",
    ),
    "a headless Service with another port": (
        "service.clusterIP=None",
        "connect to the port of the pods: set service.port=8080",
    ),
    "a class of load balancer without one": (
        "service.loadBalancerClass=example.test/a",
        "need a load balancer: set service.type to LoadBalancer",
    ),
    "who may reach a load balancer, without one": (
        "service.loadBalancerSourceRanges={192.0.2.0/24}",
        "need a load balancer: set service.type to LoadBalancer",
    ),
    "how long affinity lasts, without any": (
        "service.sessionAffinitySeconds=60",
        "service.sessionAffinitySeconds needs service.sessionAffinity=ClientIP",
    ),
    "one port twice": (f"{TLS},service.tlsPort=80", "service.port and service.tlsPort are both 80"),
    "a node's port for TLS without TLS": (
        "service.type=NodePort,service.tlsNodePort=30443",
        "service.tlsNodePort needs TLS: set tls.secretName",
    ),
    "two families in one stack": (
        "service.ipFamilyPolicy=SingleStack,service.ipFamilies={IPv4,IPv6}",
        "set PreferDualStack, or one family",
    ),
    "a route without parents": (
        "httpRoute.enabled=true",
        "httpRoute.enabled=true routes nothing without a parent: name the Gateway in httpRoute.parentRefs, such as",
    ),
    "a probe by gRPC that is not let in": (
        "tls.secretName=a,config.ECHO_TLS_ONLY=on,probes.readiness.grpc=true",
        "probes.readiness.grpc=true uses cleartext on port 8080, which config.ECHO_TLS_ONLY and config.ECHO_PROXY_",
    ),
    "a probe by gRPC behind the PROXY protocol": (
        "config.ECHO_PROXY_PROTOCOL=on,probes.liveness.grpc=true",
        "probes.liveness.grpc=true uses cleartext on port 8080",
    ),
    "a route of gRPC without parents": (
        "grpcRoute.enabled=true",
        "grpcRoute.enabled=true routes nothing without a parent: name the Gateway in grpcRoute.parentRefs, such as",
    ),
    "a route of gRPC to TLS without TLS": (
        "grpcRoute.enabled=true,grpcRoute.parentRefs[0].name=a,grpcRoute.servicePort=https",
        "set tls.secretName, or grpcRoute.servicePort=http",
    ),
    "a route to TLS without TLS": (
        "httpRoute.enabled=true,httpRoute.parentRefs[0].name=a,httpRoute.servicePort=https",
        "httpRoute.servicePort=https routes to a port that the Service does not have",
    ),
    "an Ingress to TLS without TLS": (
        "ingress.enabled=true,ingress.servicePort=https",
        "set tls.secretName, or ingress.servicePort=http",
    ),
    "more pods at least than at most": (
        "autoscaling.enabled=true,autoscaling.minReplicas=11",
        "autoscaling.minReplicas=11 is above autoscaling.maxReplicas=10: set at most that",
    ),
    "an autoscaler that looks at nothing": (
        "autoscaling.enabled=true,autoscaling.targetCPUUtilizationPercentage=null",
        "autoscaling.enabled=true has no metric: set autoscaling.targetCPUUtilizationPercentage",
    ),
    "a part of no CPU": (
        "autoscaling.enabled=true,resources.requests.cpu=null",
        "is relative to the CPU request: set resources.requests.cpu",
    ),
    "a part of no memory": (
        "autoscaling.enabled=true,autoscaling.targetMemoryUtilizationPercentage=80,resources.requests.memory=null",
        "is relative to the memory request: set resources.requests.memory",
    ),
    "a budget in two ways": (
        "podDisruptionBudget.minAvailable=1,podDisruptionBudget.maxUnavailable=1",
        "exclude each other: set one of them",
    ),
    "a budget that lets none go": (
        "podDisruptionBudget.maxUnavailable=0",
        "podDisruptionBudget.maxUnavailable=0 never allows an eviction, so that no node can be drained: set 1 or more",
    ),
    "a budget that lets no percent go": ("podDisruptionBudget.maxUnavailable=0%", "never allows an eviction"),
    "a budget that keeps the only pod": (
        "replicaCount=1,podDisruptionBudget.minAvailable=1",
        "podDisruptionBudget.minAvailable=1 of 1 never allows an eviction, so that no node can be drained",
    ),
    "a budget that keeps the only pod, in percent": (
        "replicaCount=1,podDisruptionBudget.minAvailable=10%",
        "podDisruptionBudget.minAvailable=10% of 1 never allows an eviction",
    ),
    "a budget that keeps all": ("podDisruptionBudget.minAvailable=2", "set less than 2, or maxUnavailable instead"),
    "a budget that keeps all that an autoscaler may leave": (
        "autoscaling.enabled=true,podDisruptionBudget.minAvailable=60%",
        "podDisruptionBudget.minAvailable=60% of 2 never allows an eviction",
    ),
    "a drain longer than the grace period": (
        "drainSeconds=60,terminationGracePeriodSeconds=30",
        "terminationGracePeriodSeconds=30 is less than preStopSeconds and drainSeconds together, 65: set it to 70",
    ),
    "a rollout that fails before a pod counts": (
        "progressDeadlineSeconds=5",
        "progressDeadlineSeconds=5 must be more than minReadySeconds=5",
    ),
    "a rollout that can't move": (
        "updateStrategy.rollingUpdate.maxSurge=0",
        "cannot replace a pod with maxSurge and maxUnavailable at 0: set maxSurge to 1",
    ),
    "a port of the chart's in the environment": (
        "extraEnv[0].name=ECHO_PORT,extraEnv[0].value=80",
        "extraEnv sets ECHO_PORT, which the chart sets: remove it",
    ),
    "a variable that is there already": (
        "extraEnv[0].name=POD_NAME,extraEnv[0].value=a",
        "extraEnv sets POD_NAME, which the chart sets already",
    ),
    "a setting in two ways": (
        "config.ECHO_FORMAT=json,extraEnv[0].name=ECHO_FORMAT,extraEnv[0].value=text",
        "extraEnv sets ECHO_FORMAT, which the chart sets already: remove it, or set it in config",
    ),
    "a volume by the name of the chart's": (
        f"{TLS},extraVolumes[0].name=tls",
        "extraVolumes has a volume named tls, which is the name of the one for tls.secretName: use another name",
    ),
    "a container by the name of the service's": (
        "extraContainers[0].name=echo",
        "extraContainers has a container named echo, which is the name of the service: use another name",
    ),
    **{
        f"{name} without metrics": (
            f"{name}.enabled=true,config.ECHO_METRICS=off",
            f"{name}.enabled=true needs /metrics, which config.ECHO_METRICS=off disables: remove one of them",
        )
        for name in ("podMonitor", "serviceMonitor", "prometheusRule", "grafanaDashboard")
    },
    "spans that can't leave": (
        "config.ECHO_OTLP_ENDPOINT=http://collector:4318,networkPolicy.enabled=true",
        "is blocked by the NetworkPolicy: allow the collector, and DNS, in networkPolicy.egress",
    ),
    "metrics that are off, as YAML has it": ("podMonitor.enabled=true,config.ECHO_METRICS=false", "needs /metrics"),
    "pods that are asked twice": (
        "podMonitor.enabled=true,serviceMonitor.enabled=true",
        "would scrape, and count, each pod twice: remove one of them",
    ),
    **{
        f"{name} that nobody lets in": (
            f"{name}.enabled=true,networkPolicy.enabled=true",
            f"{name}.enabled=true scrapes port 9090, which the NetworkPolicy blocks: allow the namespace of",
        )
        for name in ("podMonitor", "serviceMonitor")
    },
    "an answer that may take longer than there is": (
        "podMonitor.enabled=true,podMonitor.interval=1m,podMonitor.scrapeTimeout=1m1ms",
        "podMonitor.scrapeTimeout=1m1ms is longer than podMonitor.interval=1m, which the operator rejects silently",
    ),
    "a value of 0.1.0 that is a setting": ("echo.maxBody=5", "echo.maxBody is now config.ECHO_MAX_BODY: move it there"),
    "the drain of 0.1.0": ("echo.drainSeconds=30", "echo.drainSeconds is now drainSeconds: set drainSeconds=30"),
    "the labels of 0.1.0": ("echo.labels={tier}", "echo.labels is now reflectedLabels: move its list there"),
    "a setting with a typo": (
        "config.ECHO_FORMT=json",
        "config.ECHO_FORMT is not a setting of the service: did you mean ECHO_FORMAT?",
    ),
    "a setting in the style of values": (
        "config.maxBody=5",
        "config.maxBody is not a setting of the service: did you mean ECHO_MAX_BODY?",
    ),
    "a setting that is like no other": (
        "config.XYZ=1",
        "config.XYZ is not a setting of the service: `docker run IMAGE -m app --help` lists them",
    ),
    "the port of the service": ("config.ECHO_PORT=80", "config sets ECHO_PORT, which the chart sets: remove it"),
    "the drain as a setting": (
        "config.ECHO_DRAIN_SECONDS=5",
        "config sets ECHO_DRAIN_SECONDS, from which the grace period of the pods is computed: set drainSeconds instead",
    ),
    "two digests": (
        f"image.tag=v9@sha256:{'a' * 64},image.digest=sha256:{'b' * 64}",
        "image.digest and image.tag name different digests: remove one of them",
    ),
    "two registries": (
        "image.registry=a.example.test,image.repository=b.example.test/echo",
        "image.registry and image.repository=b.example.test/echo both name a registry: remove it from image.repository",
    ),
    "a variable twice": (
        "extraEnv[0].name=A,extraEnv[0].value=b,extraEnv[1].name=A,extraEnv[1].value=c,extraEnv[2].name=A",
        "extraEnv sets A more than once: keep one of them",
    ),
    "a Service without a port": ("service.port=null", "service.port is empty: set it, or remove the key"),
    **{
        f"{name} that would change what finds the pods": (
            ",".join(rf"{each}.app\.kubernetes\.io/name=other" for each in LABELS),
            f"{name} sets app.kubernetes.io/name, which the chart sets and selects its pods by: remove it",
        )
        for name in LABELS
    },
}

# Values that are similar to a mistake, and valid.
RIGHT = (
    "replicaCount=1",
    "replicaCount=0,podDisruptionBudget.minAvailable=1",
    "podDisruptionBudget.minAvailable=1",
    "podDisruptionBudget.minAvailable=50%",
    "podDisruptionBudget.enabled=false,podDisruptionBudget.maxUnavailable=0",
    "autoscaling.minReplicas=11",
    "autoscaling.enabled=true,autoscaling.minReplicas=10",
    "terminationGracePeriodSeconds=15",
    "minReadySeconds=0,progressDeadlineSeconds=1",
    "updateStrategy.rollingUpdate.maxSurge=0,updateStrategy.rollingUpdate.maxUnavailable=1",
    "config.ECHO_TLS_CERT=/a,config.ECHO_TLS_KEY=/b,config.ECHO_TLS_ONLY=on,config.ECHO_TLS_CLIENT_CA=/c",
    "httpRoute.servicePort=https,ingress.servicePort=https",
    f"{TLS},service.clusterIP=None,service.port=8080",
    "extraVolumes[0].name=tls",
    "podMonitor.enabled=true,podMonitor.interval=1m,podMonitor.scrapeTimeout=60s",
    "podMonitor.enabled=true,podMonitor.scrapeTimeout=1h",
    "serviceMonitor.enabled=true,networkPolicy.enabled=true,networkPolicy.adminFrom[0].podSelector.matchLabels.a=b",
    "config.ECHO_METRICS=off",
    "config.ECHO_METRICS=on,grafanaDashboard.enabled=true",
)


def flags(setting: str) -> tuple[str, ...]:
    """Return the flags for a setting."""
    return ("--set", setting)


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """Return all renderings, made once."""
    settings = dict.fromkeys([*(setting for setting, _ in ERRORS.values()), *RIGHT])
    return render_at_once([*map(flags, settings), TOO_NEW])


@pytest.mark.parametrize(("setting", "expected"), ERRORS.values(), ids=ERRORS.keys())
def test_a_contradiction_is_rejected_with_what_to_set(setting: str, expected: str, rendered: Rendered) -> None:
    """One line for each error, and none for values that are right."""
    error = rendered[flags(setting)]
    assert isinstance(error, HelmError), "it was rendered"
    sentences = re.findall(r"^  - (.+)$", str(error), re.MULTILINE)
    assert len([each for each in sentences if expected in each]) == 1
    assert len(sentences) == len([each for each, _ in ERRORS.values() if each == setting])


@pytest.mark.parametrize("setting", RIGHT)
def test_similar_values_without_a_contradiction_are_rendered(setting: str, rendered: Rendered) -> None:
    """No valid values are rejected."""
    assert isinstance(rendered[flags(setting)], str), rendered[flags(setting)]


def test_all_errors_are_reported_together() -> None:
    """A single run reports every error."""
    with pytest.raises(HelmError) as error:
        template("--set", "httpRoute.enabled=true,progressDeadlineSeconds=5,podDisruptionBudget.maxUnavailable=0")
    assert str(error.value).count("\n  - ") == 3


@pytest.mark.parametrize(
    ("distribution", "kubernetes", "minimum"),
    [
        ("PreferClose", "1.30.0", "1.31"),
        ("PreferSameZone", "1.33.4", "1.34"),
        ("PreferSameNode", "1.33.4", "1.34"),
    ],
)
def test_a_traffic_distribution_that_the_cluster_lacks_is_rejected(
    distribution: str, kubernetes: str, minimum: str
) -> None:
    """An older API server would drop the field silently."""
    chosen = ("--set", f"service.trafficDistribution={distribution}", "--kube-version")
    with pytest.raises(HelmError, match=f"={distribution} needs Kubernetes {minimum}, and this is v{kubernetes}"):
        template(*chosen, kubernetes)
    assert template(*chosen, f"{minimum}.0")


def test_a_release_that_begins_with_a_digit_needs_another_name() -> None:
    """A Service's name begins with a letter; Helm allows a digit, and dots, which become dashes."""
    with pytest.raises(HelmError, match="would be 1-st-echo, which does not begin with a letter: set fullnameOverride"):
        template(release="1.st")
    assert "name: first" in template("--set", "fullnameOverride=first", release="1.st").replace('"', "")


def test_each_error_of_the_chart_is_tested(rendered: Rendered) -> None:
    """Each sentence of the template is the error of a rendering."""
    text = (CHART / "templates" / "_validation.tpl").read_text().partition('define "echo.errors.')[2]
    text = re.sub(r"{{/\*.*?\*/}}", "", text, flags=re.DOTALL)
    sentences = [line for line in text.splitlines()[1:] if line and not line.startswith(("{{-", "  "))]
    with pytest.raises(HelmError) as by_release:
        template(release="1.st")
    errors = [str(error) for error in (*rendered.values(), by_release.value) if isinstance(error, HelmError)]
    patterns = {line: ".+".join(map(re.escape, re.split(r"{{.+?}}", line))) for line in sentences}
    assert len(sentences) > 30
    assert [
        line for line, pattern in patterns.items() if not re.search(f"^  - {pattern}$", "".join(errors), re.MULTILINE)
    ] == []

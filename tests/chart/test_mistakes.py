"""Values that contradict each other: nothing is rendered, and a sentence says what to write."""

import re

import pytest

from tests.chart.rendering import CHART, HelmError, Rendered, render_at_once, template

TLS = "tls.secretName=echo-tls"
TOO_NEW = ("--set", "service.trafficDistribution=PreferClose", "--kube-version", "1.30.0")

# Values that are labels; all are set at once, and each is told.
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
    "tls.certificate.labels",
)

# What is set, and what is said.
MISTAKES = {
    "client certificates without TLS": (
        "tls.clientAuth=require",
        "tls.clientAuth=require asks for certificates, but there is no TLS: set tls.secretName",
    ),
    "a Certificate without an Issuer": (
        "tls.certificate.enabled=true",
        "set tls.certificate.issuerRef.name to an Issuer's name",
    ),
    "two certificates": (
        f"{TLS},echo.tlsCert=/a,echo.tlsKey=/b",
        "echo.tlsCert or echo.tlsKey, name two certificates: leave one of the two away",
    ),
    "clients' certificates in two ways": (
        f"{TLS},tls.clientAuth=require,echo.tlsClientCa=/a",
        "tls.clientAuth, and echo.tlsClientCa or echo.tlsClientAuth, say two things",
    ),
    "a certificate without its key": ("echo.tlsCert=/a", "echo.tlsCert and echo.tlsKey go together: set both"),
    "a key without its certificate": ("echo.tlsKey=/a", "echo.tlsCert and echo.tlsKey go together: set both"),
    "only TLS, without any": ("echo.tlsOnly=on", "echo.tlsOnly and echo.tlsClientCa need a certificate"),
    "only TLS, as YAML has it": ("echo.tlsOnly=true", "echo.tlsOnly and echo.tlsClientCa need a certificate"),
    "an authority without TLS": ("echo.tlsClientCa=/a", "echo.tlsOnly and echo.tlsClientCa need a certificate"),
    "a node's port in the cluster alone": (
        "service.nodePort=30080",
        "set service.type to NodePort or LoadBalancer",
    ),
    "a policy for what comes from outside": (
        "service.externalTrafficPolicy=Local",
        "service.externalTrafficPolicy is for what comes from outside",
    ),
    "a headless load balancer": (
        "service.clusterIP=None,service.port=8080,service.type=LoadBalancer",
        "makes a headless Service, which can't be a LoadBalancer: set service.type to ClusterIP",
    ),
    "a headless Service with another port": ("service.clusterIP=None", "by their port: set service.port=8080"),
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
        "write PreferDualStack, or one family",
    ),
    "a route without parents": (
        "httpRoute.enabled=true",
        "httpRoute.enabled=true without parents would route nothing: name the Gateway in httpRoute.parentRefs, such as",
    ),
    "a probe by gRPC that is not let in": (
        "tls.secretName=a,echo.tlsOnly=on,probes.readiness.grpc=true",
        "probes.readiness.grpc=true asks port 8080 in clear, which echo.tlsOnly and echo.proxyProtocol do not let in",
    ),
    "a probe by gRPC behind the PROXY protocol": (
        "echo.proxyProtocol=on,probes.liveness.grpc=true",
        "probes.liveness.grpc=true asks port 8080 in clear",
    ),
    "a route of gRPC without parents": (
        "grpcRoute.enabled=true",
        "grpcRoute.enabled=true without parents would route nothing: name the Gateway in grpcRoute.parentRefs, such as",
    ),
    "a route of gRPC to TLS without TLS": (
        "grpcRoute.enabled=true,grpcRoute.parentRefs[0].name=a,grpcRoute.servicePort=https",
        "set tls.secretName, or grpcRoute.servicePort=http",
    ),
    "a route to TLS without TLS": (
        "httpRoute.enabled=true,httpRoute.parentRefs[0].name=a,httpRoute.servicePort=https",
        "httpRoute.servicePort=https leads to a port that the Service has not",
    ),
    "an Ingress to TLS without TLS": (
        "ingress.enabled=true,ingress.servicePort=https",
        "set tls.secretName, or ingress.servicePort=http",
    ),
    "more pods at least than at most": (
        "autoscaling.enabled=true,autoscaling.minReplicas=11",
        "autoscaling.minReplicas=11 is above autoscaling.maxReplicas=10: make it that, or less",
    ),
    "an autoscaler that looks at nothing": (
        "autoscaling.enabled=true,autoscaling.targetCPUUtilizationPercentage=null",
        "autoscaling.enabled=true has nothing to decide by: set autoscaling.targetCPUUtilizationPercentage",
    ),
    "a part of no CPU": (
        "autoscaling.enabled=true,resources.requests.cpu=null",
        "is a part of what a pod requests: set resources.requests.cpu",
    ),
    "a part of no memory": (
        "autoscaling.enabled=true,autoscaling.targetMemoryUtilizationPercentage=80,resources.requests.memory=null",
        "is a part of what a pod requests: set resources.requests.memory",
    ),
    "a budget in two ways": (
        "podDisruptionBudget.minAvailable=1,podDisruptionBudget.maxUnavailable=1",
        "exclude each other: set one of the two",
    ),
    "a budget that lets none go": (
        "podDisruptionBudget.maxUnavailable=0",
        "podDisruptionBudget.maxUnavailable=0 never lets a pod go, so that no node can be drained: set 1 or more",
    ),
    "a budget that lets no percent go": ("podDisruptionBudget.maxUnavailable=0%", "never lets a pod go"),
    "a budget that keeps the only pod": (
        "replicaCount=1,podDisruptionBudget.minAvailable=1",
        "podDisruptionBudget.minAvailable=1 of 1 never lets a pod go, so that no node can be drained",
    ),
    "a budget that keeps the only pod, in percent": (
        "replicaCount=1,podDisruptionBudget.minAvailable=10%",
        "podDisruptionBudget.minAvailable=10% of 1 never lets a pod go",
    ),
    "a budget that keeps all": ("podDisruptionBudget.minAvailable=2", "set less than 2, or maxUnavailable"),
    "a budget that keeps all that an autoscaler may leave": (
        "autoscaling.enabled=true,podDisruptionBudget.minAvailable=60%",
        "podDisruptionBudget.minAvailable=60% of 2 never lets a pod go",
    ),
    "a drain longer than the grace period": (
        "echo.drainSeconds=60,terminationGracePeriodSeconds=30",
        "terminationGracePeriodSeconds=30 is less than preStopSeconds and echo.drainSeconds together, 65: set it to 70",
    ),
    "a rollout that fails before a pod counts": (
        "progressDeadlineSeconds=5",
        "progressDeadlineSeconds=5 must be more than minReadySeconds=5",
    ),
    "a rollout that can't move": (
        "updateStrategy.rollingUpdate.maxSurge=0",
        "can replace no pod with maxSurge and maxUnavailable at 0: set maxSurge to 1",
    ),
    "a port of the chart's in the environment": (
        "extraEnv[0].name=ECHO_PORT,extraEnv[0].value=80",
        "extraEnv sets ECHO_PORT, which is the chart's own",
    ),
    "a variable that is there already": (
        "extraEnv[0].name=POD_NAME,extraEnv[0].value=a",
        "extraEnv sets POD_NAME, which the chart sets already",
    ),
    "a setting in two ways": (
        "echo.format=json,extraEnv[0].name=ECHO_FORMAT,extraEnv[0].value=text",
        "extraEnv sets ECHO_FORMAT, which the chart sets already: take it away, or set it by its value in echo",
    ),
    "a volume by the name of the chart's": (
        f"{TLS},extraVolumes[0].name=tls",
        "extraVolumes has a volume named tls, which is that of tls.secretName: give it another name",
    ),
    "a container by the name of the service's": (
        "extraContainers[0].name=echo",
        "extraContainers has a container named echo, which is the service: give it another name",
    ),
    **{
        f"{name} without metrics": (
            f"{name}.enabled=true,echo.metrics=off",
            f"{name}.enabled=true needs /metrics, and echo.metrics=off takes it away: leave one of the two away",
        )
        for name in ("podMonitor", "serviceMonitor", "prometheusRule", "grafanaDashboard")
    },
    "spans that can't leave": (
        "echo.otlpEndpoint=http://collector:4318,networkPolicy.enabled=true",
        "the NetworkPolicy lets nothing out: name the collector, and DNS, in networkPolicy.egress",
    ),
    "metrics that are off, as YAML has it": ("podMonitor.enabled=true,echo.metrics=false", "needs /metrics"),
    "pods that are asked twice": (
        "podMonitor.enabled=true,serviceMonitor.enabled=true",
        "would have each pod asked, and counted, twice: leave one of the two away",
    ),
    **{
        f"{name} that nobody lets in": (
            f"{name}.enabled=true,networkPolicy.enabled=true",
            f"{name}.enabled=true asks port 9090, which the NetworkPolicy opens to nobody: name the namespace of",
        )
        for name in ("podMonitor", "serviceMonitor")
    },
    "an answer that may take longer than there is": (
        "podMonitor.enabled=true,podMonitor.interval=1m,podMonitor.scrapeTimeout=1m1ms",
        "podMonitor.scrapeTimeout=1m1ms is longer than podMonitor.interval=1m, which the operator passes over",
    ),
    **{
        f"{name} that would change what finds the pods": (
            ",".join(rf"{each}.app\.kubernetes\.io/name=other" for each in LABELS),
            f"{name} sets app.kubernetes.io/name, which the chart sets, and finds its pods by: take it away",
        )
        for name in LABELS
    },
}

# What is near a mistake, and none.
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
    "echo.tlsCert=/a,echo.tlsKey=/b,echo.tlsOnly=on,echo.tlsClientCa=/c",
    "httpRoute.servicePort=https,ingress.servicePort=https",
    f"{TLS},service.clusterIP=None,service.port=8080",
    "extraVolumes[0].name=tls",
    "podMonitor.enabled=true,podMonitor.interval=1m,podMonitor.scrapeTimeout=60s",
    "podMonitor.enabled=true,podMonitor.scrapeTimeout=1h",
    "serviceMonitor.enabled=true,networkPolicy.enabled=true,networkPolicy.adminFrom[0].podSelector.matchLabels.a=b",
    "echo.metrics=off",
    "echo.metrics=on,grafanaDashboard.enabled=true",
)


def flags(setting: str) -> tuple[str, ...]:
    """Give the flags for a setting."""
    return ("--set", setting)


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """Give all of it, rendered once."""
    settings = dict.fromkeys([*(setting for setting, _ in MISTAKES.values()), *RIGHT])
    return render_at_once([*map(flags, settings), TOO_NEW])


@pytest.mark.parametrize(("setting", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_contradiction_is_refused_with_what_to_write(setting: str, said: str, rendered: Rendered) -> None:
    """In a sentence of one line, and in no more than those that belong to what was set."""
    refusal = rendered[flags(setting)]
    assert isinstance(refusal, HelmError), "it was rendered"
    sentences = re.findall(r"^  - (.+)$", str(refusal), re.MULTILINE)
    assert len([each for each in sentences if said in each]) == 1
    assert len(sentences) == len([each for each, _ in MISTAKES.values() if each == setting])


@pytest.mark.parametrize("setting", RIGHT)
def test_what_is_no_contradiction_is_rendered(setting: str, rendered: Rendered) -> None:
    """Nothing is refused that can be."""
    assert isinstance(rendered[flags(setting)], str), rendered[flags(setting)]


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody mends one only to hear of the next."""
    with pytest.raises(HelmError) as refusal:
        template("--set", "httpRoute.enabled=true,progressDeadlineSeconds=5,podDisruptionBudget.maxUnavailable=0")
    assert str(refusal.value).count("\n  - ") == 3


@pytest.mark.parametrize(
    ("way", "kubernetes", "least"),
    [
        ("PreferClose", "1.30.0", "1.31"),
        ("PreferSameZone", "1.33.4", "1.34"),
        ("PreferSameNode", "1.33.4", "1.34"),
    ],
)
def test_a_way_that_the_cluster_does_not_know_is_refused(way: str, kubernetes: str, least: str) -> None:
    """An older API server would drop the field in silence."""
    chosen = ("--set", f"service.trafficDistribution={way}", "--kube-version")
    with pytest.raises(HelmError, match=f"={way} needs Kubernetes {least}, and this is v{kubernetes}"):
        template(*chosen, kubernetes)
    assert template(*chosen, f"{least}.0")


def test_each_sentence_of_the_chart_is_tested(rendered: Rendered) -> None:
    """Each that stands in the template is said to somebody above."""
    text = (CHART / "templates" / "_mistakes.tpl").read_text().partition('define "echo.mistakesOf')[2]
    sentences = [line for line in text.splitlines()[1:] if line and not line.startswith(("{{-", "  "))]
    told = "".join(str(refusal) for refusal in rendered.values() if isinstance(refusal, HelmError))
    patterns = {line: ".+".join(map(re.escape, re.split(r"{{.+?}}", line))) for line in sentences}
    assert len(sentences) > 30
    assert [line for line, pattern in patterns.items() if not re.search(f"^  - {pattern}$", told, re.MULTILINE)] == []

"""Options of the chart: for the pods, and for the objects around them."""

import json
from typing import Any

import pytest

from tests.chart.rendering import Manifest, Objects, chart, value_sets

SELECTOR = {"app.kubernetes.io/name": "echo", "app.kubernetes.io/instance": "echo"}
TEST_POD = {"podSelector": {"matchLabels": {**SELECTOR, "app.kubernetes.io/name": "echo-test"}}}
DIGEST = "sha256:" + "0123456789abcdef" * 4


def rendered(*flags: str, **values: Any) -> Objects:
    """Return the objects with these values; two underscores in a name stand for a dot."""
    given = [f"--set-json={name.replace('__', '.')}={json.dumps(value)}" for name, value in values.items()]
    return chart(*flags, *given)


def deployment(*flags: str, **values: Any) -> Manifest:
    """Return the Deployment's spec."""
    return dict(rendered(*flags, **values).one("Deployment")["spec"])


def pod(*flags: str, **values: Any) -> Manifest:
    """Return the spec of the pods."""
    return dict(deployment(*flags, **values)["template"]["spec"])


def spec(kind: str, *flags: str, **values: Any) -> Manifest:
    """Return the spec of the only object of a kind."""
    return dict(rendered(*flags, **values).one(kind)["spec"])


class TestPods:
    """The pods that run echo."""

    @pytest.mark.parametrize(
        ("image", "reference"),
        [
            pytest.param({"digest": DIGEST}, f"echo@{DIGEST}", id="by digest"),
            pytest.param({"digest": DIGEST, "tag": "v9"}, f"echo:v9@{DIGEST}", id="by digest, with a tag to read"),
            pytest.param({"tag": "v9"}, "echo:v9", id="by tag"),
        ],
    )
    def test_the_image_is_named_by_tag_or_digest(self, image: dict[str, str], reference: str) -> None:
        """Every pod uses that image, and the reflection reports it."""
        flags = tuple(f"--set=image.{name}={value}" for name, value in image.items())
        pods = rendered(*flags).pods().values()
        assert {each["image"] for one in pods for each in one["spec"]["containers"]} == {reference}
        annotations = deployment(*flags)["template"]["metadata"]["annotations"]
        assert annotations["echo-image"] == reference

    @pytest.mark.parametrize(
        ("kubernetes", "hook"),
        [
            ("1.37.0", {"sleep": {"seconds": 5}}),
            ("1.30.0-eks-1", {"sleep": {"seconds": 5}}),
            ("1.29.9", {"exec": {"command": ["python3", "-c", "import time; time.sleep(5)"]}}),
        ],
    )
    def test_the_kubelet_sleeps_or_python_does(self, kubernetes: str, hook: Manifest) -> None:
        """Below 1.30, where the kubelet's own sleep is off, the image's Python sleeps."""
        assert pod("--kube-version", kubernetes)["containers"][0]["lifecycle"] == {"preStop": hook}

    def test_a_hook_of_ones_own_replaces_the_sleep(self) -> None:
        """A hook of the other kind is kept beside it."""
        own = {"preStop": {"exec": {"command": ["python3", "-c", "pass"]}}}
        assert pod(lifecycle=own)["containers"][0]["lifecycle"] == own
        start = {"postStart": {"sleep": {"seconds": 1}}}
        assert pod(lifecycle=start)["containers"][0]["lifecycle"] == {**start, "preStop": {"sleep": {"seconds": 5}}}

    def test_the_grace_period_can_be_longer(self) -> None:
        """The period is not less than its components: see test_validation.py."""
        assert pod(terminationGracePeriodSeconds=120)["terminationGracePeriodSeconds"] == 120

    def test_pods_are_spread_over_zones_and_nodes_softly(self) -> None:
        """The new pods of a rollout are spread by themselves, among the pods of this release."""
        assert pod()["topologySpreadConstraints"] == [
            {
                "topologyKey": key,
                "maxSkew": 1,
                "whenUnsatisfiable": "ScheduleAnyway",
                "matchLabelKeys": ["pod-template-hash"],
                "labelSelector": {"matchLabels": SELECTOR},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ]

    def test_a_selector_of_ones_own_is_kept(self) -> None:
        """The pods' own selector is added only if there is none."""
        own = {
            "topologyKey": "rack",
            "maxSkew": 2,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"tier": "edge"}},
        }
        assert pod(topologySpreadConstraints=[own])["topologySpreadConstraints"] == [own]

    def test_a_rollout_waits_and_ends(self) -> None:
        """A pod is available after it has been ready for a while; a rollout without progress is reported as failed."""
        found = deployment()
        assert (found["minReadySeconds"], found["progressDeadlineSeconds"], found["revisionHistoryLimit"]) == (
            5,
            300,
            5,
        )
        startup = pod()["containers"][0]["startupProbe"]
        assert found["progressDeadlineSeconds"] > startup["periodSeconds"] * startup["failureThreshold"]

    def test_pods_can_be_replaced_all_at_once(self) -> None:
        """The fields of the other strategy, which the API server would reject, are omitted."""
        assert deployment("--set", "updateStrategy.type=Recreate")["strategy"] == {"type": "Recreate"}

    def test_the_number_of_pods_is_left_to_an_autoscaler(self) -> None:
        """With an autoscaler there are no replicas in the Deployment, which would undo its changes."""
        assert "replicas" not in deployment(autoscaling__enabled=True)

    @pytest.mark.parametrize("probe", ["startup", "liveness", "readiness"])
    def test_a_probe_can_be_left_out(self, probe: str) -> None:
        """The other probes stay."""
        (container,) = pod(**{f"probes__{probe}__enabled": False})["containers"]
        assert {name for name in container if name.endswith("Probe")} == {
            f"{name}Probe" for name in ("startup", "liveness", "readiness") if name != probe
        }

    def test_a_default_of_the_security_context_can_be_taken_away(self) -> None:
        """OpenShift, which assigns users itself, needs it; in every pod."""
        for each in (
            rendered("--set", "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null").pods().values()
        ):
            assert each["spec"]["securityContext"] == {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            }

    def test_what_is_common_is_on_every_object_and_pod(self) -> None:
        """An object's own entries take precedence, and the selectors stay the same."""
        objects = rendered(
            commonLabels={"team": "web", "tier": "a"}, podLabels={"tier": "b"}, commonAnnotations={"a": "b"}
        )
        pods = objects.pods()
        for each in [*objects.all, *pods.values()]:
            assert each["metadata"]["labels"]["team"] == "web"
            assert each["metadata"]["annotations"]["a"] == "b"
        assert pods["Deployment echo"]["metadata"]["labels"]["tier"] == "b"
        assert objects.one("Service")["metadata"]["labels"]["tier"] == "a"
        assert objects.one("Deployment")["spec"]["selector"] == {"matchLabels": SELECTOR}


class TestService:
    """The Service, and TLS behind it."""

    def test_a_headless_one_has_the_pods_own_port_alone(self) -> None:
        """Clients resolve the pods' addresses, and know no other port."""
        flags = ("--set", "service.clusterIP=None,service.port=8080,tls.secretName=echo-tls")
        found = spec("Service", *flags)
        assert found["clusterIP"] == "None"
        assert [each["port"] for each in found["ports"]] == [8080]

    def test_what_the_port_speaks_is_said_of_cleartext_alone(self) -> None:
        """An appProtocol for unencrypted HTTP/2 is not set for the TLS port."""
        ports = spec("Service", "--set", "service.appProtocol=kubernetes.io/h2c,tls.secretName=echo-tls")["ports"]
        assert [each.get("appProtocol") for each in ports] == ["kubernetes.io/h2c", None]

    def test_a_certificate_is_for_the_service_and_its_secret_is_mounted(self) -> None:
        """It has the names of the Service in the cluster, and the configured ones."""
        flags = ("--values", str(value_sets()["certificate"]))
        found = spec("Certificate", *flags)
        assert found["dnsNames"] == ["echo", "echo.default", "echo.default.svc", "echo.example.test"]
        assert found["issuerRef"] == {"name": "authority", "kind": "ClusterIssuer", "group": "cert-manager.io"}
        assert found["secretName"] == "echo-tls"
        assert pod(*flags)["volumes"][0]["secret"]["secretName"] == "echo-tls"
        assert [each["name"] for each in spec("Service", *flags)["ports"]] == ["http", "https"]
        assert spec("Certificate", *flags, "--set", "tls.secretName=own")["secretName"] == "own"

    def test_a_certificate_from_a_volume_is_served_too(self) -> None:
        """The Service has a port for it; the volume itself is configured by the operator."""
        flags = ("--set", "config.ECHO_TLS_CERT=/own/a.pem,config.ECHO_TLS_KEY=/own/b.pem")
        assert [each["name"] for each in spec("Service", *flags)["ports"]] == ["http", "https"]
        assert "volumes" not in pod(*flags)


class TestAround:
    """Routes, autoscaler, disruption budget, network policy."""

    def test_an_ingress_without_hosts_is_for_every_host(self) -> None:
        """It has all paths of every host."""
        backend = {"service": {"name": "echo", "port": {"name": "http"}}}
        assert spec("Ingress", ingress__enabled=True)["rules"] == [
            {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        ]

    def test_an_ingress_has_its_hosts_and_their_paths(self) -> None:
        """Hosts may be templates; a host without paths has all."""
        rules = spec("Ingress", "--values", str(value_sets()["ingress"]))["rules"]
        assert [
            (rule["host"], [(path["path"], path["pathType"]) for path in rule["http"]["paths"]]) for rule in rules
        ] == [
            ("echo.example.test", [("/", "Prefix")]),
            ("echo.example.test", [("/shown", "Exact")]),
        ]

    def test_a_route_leads_to_the_service(self) -> None:
        """It refers to the selected port, for every path."""
        values = {"httpRoute__enabled": True, "httpRoute__parentRefs": [{"name": "gateway"}]}
        assert spec("HTTPRoute", **values) == {
            "parentRefs": [{"name": "gateway"}],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [{"name": "echo", "port": 80}],
                }
            ],
        }
        secure = spec("HTTPRoute", "--set=tls.secretName=a", httpRoute__servicePort="https", **values)
        assert secure["rules"][0]["backendRefs"] == [{"name": "echo", "port": 443}]

    def test_a_route_of_grpc_leads_to_the_same_service(self) -> None:
        """All methods match, unless some are listed."""
        values = {"grpcRoute__enabled": True, "grpcRoute__parentRefs": [{"name": "gateway"}]}
        assert spec("GRPCRoute", **values) == {
            "parentRefs": [{"name": "gateway"}],
            "rules": [{"backendRefs": [{"name": "echo", "port": 80}]}],
        }
        matches = [{"method": {"service": "grpc.health.v1.Health"}}]
        secure = spec(
            "GRPCRoute",
            "--set=tls.secretName=a",
            grpcRoute__servicePort="https",
            grpcRoute__matches=matches,
            **values,
        )
        assert secure["rules"] == [{"matches": matches, "backendRefs": [{"name": "echo", "port": 443}]}]

    def test_an_autoscaler_looks_at_the_cpu(self) -> None:
        """It uses the CPU of the Deployment, and more metrics if configured."""
        found = spec("HorizontalPodAutoscaler", autoscaling__enabled=True)
        assert found["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "echo"}
        assert (found["minReplicas"], found["maxReplicas"]) == (2, 10)
        target = {"type": "Utilization", "averageUtilization": 80}
        assert found["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        more = spec(
            "HorizontalPodAutoscaler", autoscaling__enabled=True, autoscaling__targetMemoryUtilizationPercentage=70
        )
        assert [each["resource"]["name"] for each in more["metrics"]] == ["cpu", "memory"]

    @pytest.mark.parametrize(
        ("values", "budget"),
        [
            pytest.param({}, {"maxUnavailable": 1}, id="by default"),
            pytest.param({"maxUnavailable": "25%"}, {"maxUnavailable": "25%"}, id="a part may go"),
            pytest.param({"minAvailable": 1}, {"minAvailable": 1}, id="some must stay"),
        ],
    )
    def test_a_budget_says_one_of_the_two(self, values: dict[str, Any], budget: Manifest) -> None:
        """In any case it allows the eviction of a pod that is not ready."""
        found = spec("PodDisruptionBudget", **{f"podDisruptionBudget__{name}": value for name, value in values.items()})
        assert found == {
            **budget,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": SELECTOR},
        }

    def test_a_network_policy_lets_everybody_in_to_the_echo_and_nothing_out(self) -> None:
        """Nothing but the kubelet, which needs no rule, reaches the admin port."""
        assert spec("NetworkPolicy", networkPolicy__enabled=True) == {
            "podSelector": {"matchLabels": SELECTOR},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"port": 8080, "protocol": "TCP"}]}],
            "egress": [],
        }

    def test_a_network_policy_lets_in_who_may_and_the_pod_of_helm_test(self) -> None:
        """Each port has peers of its own, and the pod of `helm test` is always allowed."""
        flags = ("--values", str(value_sets()["network"]))
        http, admin = spec("NetworkPolicy", *flags)["ingress"]

        def namespace(name: str) -> Manifest:
            return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}

        assert http == {"ports": [{"port": 8080, "protocol": "TCP"}], "from": [namespace("ingress"), TEST_POD]}
        assert admin == {"ports": [{"port": 9090, "protocol": "TCP"}], "from": [namespace("monitoring")]}
        labels = chart(*flags).hook()["metadata"]["labels"]
        assert TEST_POD["podSelector"]["matchLabels"].items() <= labels.items()

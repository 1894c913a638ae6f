"""Changes for an upgrade: every kind of value of the chart, in steps.

Each step replaces the values of the previous one.
"""

from dataclasses import dataclass
from typing import Any, Final

_WAITING = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); signal.pause()"
_CAREFUL = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}


@dataclass(frozen=True)
class Change:
    """Values, and whether they replace the pods. Values of the previous step return to their defaults."""

    values: dict[str, Any]
    replaces: bool = True
    before: tuple[str, ...] = ()  # arguments of kubectl, run before the upgrade
    flags: tuple[str, ...] = ()  # of `helm upgrade`


def changes(image: str, secret: str) -> dict[str, Change]:
    """Return the steps: first those that keep the pods, then those that replace them."""
    return {
        "the number of pods": Change({"replicaCount": 3}, replaces=False),
        "the Service": Change(
            {
                "service": {
                    "type": "NodePort",
                    "appProtocol": "kubernetes.io/h2c",
                    "trafficDistribution": "PreferSameZone",
                    "sessionAffinity": "ClientIP",
                    "externalTrafficPolicy": "Local",
                    "labels": {"example.test/a": "b"},
                    "annotations": {"example.test/a": "b"},
                }
            },
            replaces=False,
        ),
        "the objects beside": Change(
            {
                "networkPolicy": {"enabled": True},
                "podDisruptionBudget": {"maxUnavailable": 1},
                "grafanaDashboard": {"enabled": True},
                "ingress": {"enabled": True, "hosts": [{"host": "echo.example.test"}]},
                "serviceAccount": {"annotations": {"example.test/a": "b"}},
                "deployment": {"labels": {"example.test/a": "b"}, "annotations": {"example.test/a": "b"}},
                "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "beside"}}],
                "testPod": {"labels": {"example.test/a": "b"}},
            },
            replaces=False,
        ),
        "how it is rolled out": Change(
            {
                "updateStrategy": {"rollingUpdate": {"maxSurge": 2}},
                "minReadySeconds": 1,
                "progressDeadlineSeconds": 200,
                "revisionHistoryLimit": 3,
            },
            replaces=False,
        ),
        # As the chart's README says, a replica count set by another manager is kept.
        "the autoscaler": Change(
            {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 3}},
            replaces=False,
            before=("scale", "deployment/echo", "--replicas=3"),
        ),
        # The chart sets the replica count again.
        "settings of the service": Change(
            {
                "config": {
                    "ECHO_WORKERS": 2,
                    "ECHO_ACCESS_LOG": "json",
                    "ECHO_FORMAT": "json",
                    "ECHO_PRETTY": False,
                    "ECHO_MAX_HEADER_BYTES": 32_768,
                    "ECHO_IDLE_TIMEOUT": 20,
                },
                "reflectedLabels": ["pod-template-hash"],
            },
            flags=("--force-conflicts",),
        ),
        "labels, annotations, resources and probes": Change(
            {
                "podLabels": {"example.test/a": "b"},
                "podAnnotations": {"example.test/a": "b"},
                "commonLabels": {"example.test/c": "d"},
                "commonAnnotations": {"example.test/c": "d"},
                "resources": {"requests": {"cpu": "20m", "memory": "80Mi"}, "limits": {"memory": "160Mi"}},
                "probes": {
                    "startup": {"enabled": False},
                    "liveness": {"periodSeconds": 5},
                    "readiness": {"grpc": True, "periodSeconds": 1, "initialDelaySeconds": 1, "successThreshold": 2},
                },
            }
        ),
        "rights and places": Change(
            {
                "openshift": True,
                "podSecurityContext": {"runAsUser": 10002},
                "securityContext": {"privileged": False},
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": [{"key": "example.test/a", "operator": "Exists"}],
                "affinity": {"podAntiAffinity": {}},
                "topologySpreadConstraints": [],
                "schedulerName": "default-scheduler",
                "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["example.test"]}],
                "dnsPolicy": "ClusterFirst",
                "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
            }
        ),
        "environment, volumes and containers": Change(
            {
                "image": {"pullPolicy": "Never"},
                "imagePullSecrets": ["registry"],
                "extraEnv": [{"name": "A", "value": "b"}],
                "envFrom": [{"configMapRef": {"name": "not-there", "optional": True}}],
                "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
                "extraVolumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                "initContainers": [
                    {"name": "first", "image": image, "args": ["-c", "pass"], "securityContext": _CAREFUL}
                ],
                "extraContainers": [
                    {"name": "beside", "image": image, "args": ["-c", _WAITING], "securityContext": _CAREFUL}
                ],
            }
        ),
        "how it stops, and TLS": Change(
            {
                "preStopSeconds": 8,
                "terminationGracePeriodSeconds": 45,
                "drainSeconds": 6,
                "lifecycle": {"postStart": {"exec": {"command": ["python3", "-c", "pass"]}}},
                "tls": {"secretName": secret},
            }
        ),
    }


# The values that no upgrade changes here, with the reason.
UNCHANGED: Final = {
    "nameOverride": "the Service gets another name: who asked by the old one asks nobody",
    "fullnameOverride": "the Service gets another name: who asked by the old one asks nobody",
    "grpcRoute": "a Gateway is in front, which there is none of",
    "httpRoute": "a Gateway is in front, which there is none of",
    "serviceMonitor": "an object of the Prometheus operator's, which is not there",
    "podMonitor": "an object of the Prometheus operator's, which is not there",
    "prometheusRule": "an object of the Prometheus operator's, which is not there",
    "priorityClassName": "a class of the cluster's, which has none but for its own parts",
    "runtimeClassName": "a class of the cluster's, which has none",
}

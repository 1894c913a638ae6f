"""Decisions of Pod Security admission: rejections, warnings and audits.

https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

import re
from collections import Counter
from typing import Any

from kubernetes.client import ApiClient

from tests.e2e.cluster import Cluster

MODES = ("enforce", "warn", "audit")
# Pods that exceed the restricted profile are rejected, reported in a warning, and noted in the audit log.
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in MODES}

_COUNTED = re.compile(r"pod_security_evaluations_total\{(.*)\} (\d+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def evaluations(cluster: Cluster) -> Counter[tuple[str, str]]:
    """Return the API server's evaluations against the restricted profile, by decision and mode.

    Decisions of audit mode are in no response, and there may be no audit log; this metric counts them all the same. An
    `allow` is counted for enforce only. https://kubernetes.io/docs/reference/instrumentation/metrics/
    """
    counted: Counter[tuple[str, str]] = Counter()
    for line in cluster.kubectl("get", "--raw", "/metrics").splitlines():
        if match := _COUNTED.fullmatch(line):
            labels = dict(_LABEL.findall(match[1]))
            if labels["policy_level"] == "restricted":
                counted[labels["decision"], labels["mode"]] += int(match[2])
    return counted


def fail_at_warnings(api: ApiClient) -> None:
    """Raise an error for responses with a warning of the API server, which the client library ignores.

    https://kubernetes.io/docs/reference/using-api/#warnings
    """
    request = api.rest_client.request

    def heard(*arguments: Any, **named: Any) -> Any:
        response = request(*arguments, **named)
        warned = response.headers.getlist("Warning")
        assert not warned, f"the API server warns: {warned}"
        return response

    api.rest_client.request = heard

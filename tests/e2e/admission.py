"""What Pod Security admission says: refusals, warnings to who asks, and a note in the audit log.

https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

import re
from collections import Counter
from typing import Any

from kubernetes.client import ApiClient

from tests.e2e.cluster import Cluster

MODES = ("enforce", "warn", "audit")
# A pod that asks for more than the restricted profile is refused, warned of, and noted.
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in MODES}

_COUNTED = re.compile(r"pod_security_evaluations_total\{(.*)\} (\d+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def evaluations(cluster: Cluster) -> Counter[tuple[str, str]]:
    """Give how often the API server has held something against the restricted profile, by decision and mode.

    What audit mode noted is in no answer, and there need be no audit log: this counts it all the same. An `allow` is
    counted for enforce alone. https://kubernetes.io/docs/reference/instrumentation/metrics/
    """
    counted: Counter[tuple[str, str]] = Counter()
    for line in cluster.kubectl("get", "--raw", "/metrics").splitlines():
        if match := _COUNTED.fullmatch(line):
            labels = dict(_LABEL.findall(match[1]))
            if labels["policy_level"] == "restricted":
                counted[labels["decision"], labels["mode"]] += int(match[2])
    return counted


def fail_at_warnings(api: ApiClient) -> None:
    """Make a request fail that the API server answers with a warning, which the client library passes over.

    https://kubernetes.io/docs/reference/using-api/#warnings
    """
    request = api.rest_client.request

    def heard(*arguments: Any, **named: Any) -> Any:
        response = request(*arguments, **named)
        warned = response.headers.getlist("Warning")
        assert not warned, f"the API server warns: {warned}"
        return response

    api.rest_client.request = heard

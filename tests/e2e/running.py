"""Python code run in the cluster, in a pod of the echo's image."""

import json
from collections.abc import Mapping
from typing import Any

import trustme
from kubernetes.client import ApiClient, BatchV1Api, CoreV1Api

from tests.e2e.watching import job_log


def python_pod(name: str, image: str, *arguments: str) -> dict[str, Any]:
    """Return the spec of a pod that runs Python with these arguments, within the restricted profile."""
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": name,
                "image": image,
                "args": list(arguments),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
            }
        ],
    }


def tls_secret(name: str, certificate: trustme.LeafCert) -> dict[str, Any]:
    """Return a TLS Secret with this name and certificate."""
    return {
        "metadata": {"name": name},
        "type": "kubernetes.io/tls",
        "stringData": {
            "tls.crt": b"".join(blob.bytes() for blob in certificate.cert_chain_pems).decode(),
            "tls.key": certificate.private_key_pem.bytes().decode(),
        },
    }


def labels(name: str) -> dict[str, str]:
    """Return the label by which evidence.py finds the logs; the Service selects another one."""
    return {"app.kubernetes.io/name": name}


def python_in_a_pod(
    api: ApiClient, namespace: str, image: str, code: str, *arguments: str, own: Mapping[str, str] | None = None
) -> Any:
    """Run Python in a Job in the namespace, with labels of its `own`; return its log, parsed as JSON."""
    name = "asking"  # generateName adds a suffix, because the previous Job may still be terminating
    template = {
        "metadata": {"labels": labels(name) | dict(own or {})},
        "spec": python_pod(name, image, "-c", code, *arguments),
    }
    job = {
        "metadata": {"generateName": f"{name}-"},
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": 120, "template": template},
    }
    batch = BatchV1Api(api)
    made = batch.create_namespaced_job(namespace, job).metadata.name
    try:
        return json.loads(job_log(batch, CoreV1Api(api), namespace, made))
    finally:
        batch.delete_namespaced_job(made, namespace, propagation_policy="Foreground")

"""Schema checks of rendered manifests, offline, by kubeconform.

The schemas are those of one version of Kubernetes. They are made once from files in Go modules, and stored in
`.tools/schemas`, in a folder whose name identifies the sources.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.commands import ROOT, CommandError, run
from tools.lint import schemas
from tools.toolchain.__main__ import TOOLS
from tools.toolchain.modules import module
from tools.toolchain.supported import Version, oldest_kubernetes

_MADE = ROOT / ".tools" / "schemas"

_OF_THE_OPERATOR = "example/prometheus-operator-crd/monitoring.coreos.com"

# Sources of the custom resources that the chart creates: module, version, files.
_CUSTOM_RESOURCES = (
    *(
        # The version whose conformance client the tests use.
        ("sigs.k8s.io/gateway-api", TOOLS["echo-basic"].version, f"config/crd/standard/*_{kind}.yaml")
        for kind in ("grpcroutes", "httproutes")
    ),
    ("github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds/cert-manager.io_certificates.yaml"),
    *(
        # The newest version that the module proxy serves; what the chart creates is in all versions since.
        ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", f"{_OF_THE_OPERATOR}_{kind}.yaml")
        for kind in ("podmonitors", "prometheusrules", "servicemonitors")
    ),
)


# k8s/ can't depend on the version, as the chart does: its preStop sleep is enabled by default since 1.30.
# https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/3960-pod-lifecycle-sleep-action
_OLDEST_OF_K8S = "1.30.0"


def claims() -> dict[str, set[str]]:
    """Return the supported versions of Kubernetes, and what supports each: "chart", "k8s"."""
    claimed: dict[str, set[str]] = {}
    for what, oldest in (("chart", _version(oldest_kubernetes())), ("k8s", _OLDEST_OF_K8S)):
        for version in (oldest, newest()):
            claimed.setdefault(version, set()).add(what)
    return claimed


def _version(numbers: Version) -> str:
    return ".".join(map(str, numbers))


def newest() -> str:
    """Return the newest version that the chart is tested on: that of the cluster of `make e2e`, and of kubectl."""
    return TOOLS["kubectl"].version.removeprefix("v")


def judge(kubeconform: Path, kubernetes: str, files: Sequence[Path], environ: Mapping[str, str]) -> None:
    """Check files by the schemas of a version. Raise `CommandError` with each object and its mistake."""
    location = f"{_schemas_of(kubernetes, environ)}/{schemas.PATH_TEMPLATE}"
    said = run(kubeconform, "-strict", "-summary", "-schema-location", location, *files)
    if not re.search(r"\bValid: [1-9]", said):
        raise CommandError(f"kubeconform found nothing to judge in {', '.join(map(str, files))}")


def _schemas_of(kubernetes: str, environ: Mapping[str, str]) -> Path:
    """Return the folder of the schemas of a version, made if it is missing. Raise `ToolError` if it can't be made."""
    # A change of the generator, or of the custom resources, leads to schemas of a new name.
    origin = Path(schemas.__file__).read_bytes() + repr(_CUSTOM_RESOURCES).encode()
    folder = _MADE / f"kubernetes-{kubernetes}-{hashlib.sha256(origin).hexdigest()[:8]}"
    if not folder.exists():
        _MADE.mkdir(parents=True, exist_ok=True)
        # Complete or not at all, also if it is interrupted.
        with tempfile.TemporaryDirectory(dir=_MADE) as unfinished:
            for path, schema in _all_schemas(kubernetes, environ):
                file = Path(unfinished, "all", path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(schema, separators=(",", ":")))
            Path(unfinished, "all").rename(folder)
    return folder


def _all_schemas(kubernetes: str, environ: Mapping[str, str]) -> Iterator[tuple[str, schemas.Schema]]:
    document = openapi(kubernetes, environ)
    yield from schemas.of_openapi(document)
    definitions = schemas.strict_definitions(document)
    for crd in custom_resources(environ):
        yield from schemas.of_crd(crd, definitions)


def openapi(kubernetes: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the OpenAPI 2 document of a version of Kubernetes. Raise `ToolError` if its module cannot be had."""
    published = module("k8s.io/kubernetes", f"v{kubernetes}", environ) / "api" / "openapi-spec" / "swagger.json"
    document: dict[str, Any] = json.loads(published.read_bytes())
    return document


def custom_resources(environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the definitions of the custom resources that the chart creates.

    Raise `ToolError` if a module cannot be had.
    """
    for path, version, pattern in _CUSTOM_RESOURCES:
        yield from _documents(module(path, version, environ), pattern)


def _documents(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    files = sorted(folder.glob(pattern))
    if not files:
        raise CommandError(f"{folder} has no {pattern}")
    for file in files:
        yield from filter(None, yaml.load_all(file.read_bytes(), yaml.CSafeLoader))

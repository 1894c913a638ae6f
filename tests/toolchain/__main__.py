"""`python -m tests.toolchain NAME` prints where a fit program NAME is, and builds it when there is none.

Fit is what is on PATH in a version that the tests were made for; else the pinned version, built by Go into
`.tools/bin`. What it does is told on stderr, so that stdout is the path alone.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.commands import ROOT, say_to_stderr

BUILT = ROOT / ".tools" / "bin"
HERE = Path(__file__).parent

# The cluster's version is that of its node image; kubectl goes with it.
_KUBERNETES = "1.37.2"
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.(\d+)")

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Tool:
    """A program: how to ask its version, which versions are fit (from, below), and how the pinned one is built.

    `module` is the main package for `go install`; where it is empty, the package is the folder `name` beside this file.
    With `within` it is built in the module of that folder beside this file, whose go.mod says which versions of others
    it is built of. `program` is its name on PATH, where that is not `name`; `module_version` its module's version,
    where that is not its own; `tags` leave parts of it out. One that does not tell its version is always the pinned
    one: it has no `version_arguments`.
    """

    name: str
    version: str
    version_arguments: Sequence[str]
    fit: tuple[Version, Version]
    module: str
    ldflags: str = ""
    within: str = ""
    program: str = ""
    module_version: str = ""
    tags: str = ""

    @property
    def pinned(self) -> Path:
        """Where the pinned version stands once it is built."""
        return BUILT / f"{self.name}-{self.version}"


_KUBERNETES_MAJOR, _KUBERNETES_MINOR, _ = _KUBERNETES.split(".")
_COMPONENT_BASE = "k8s.io/component-base/version"

# Helm 3, kustomize and cyclonus, each by itself, would compile a Kubernetes' client library of its own version, which
# is nine tenths of the work. In one module with Helm 4 they take its versions, and what Go has compiled for it.
# A new version: `go get -tool MODULE@VERSION && go mod tidy` there, and its row here; a test compares the two.
_WITH_HELM = "chart"
TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            # Tells what NetworkPolicies let through. It does not tell its version.
            name="cyclonus",
            version="v0.5.6",
            version_arguments=(),
            fit=((0, 5, 6), (0, 5, 7)),
            module="github.com/mattfenwick/cyclonus/cmd/cyclonus",
            within=_WITH_HELM,
        ),
        Tool(
            # The Gateway API's echo server, of the version whose conformance client asks us.
            name="echo-basic",
            version="v1.4.1",
            version_arguments=(),
            fit=((1, 4, 1), (1, 4, 2)),
            module="sigs.k8s.io/gateway-api/conformance/echo-basic",
        ),
        Tool(
            # Its echo alone; its go.mod says of which version.
            name="fortio",
            version="v1.75.3",
            version_arguments=(),
            fit=((1, 75, 3), (1, 75, 4)),
            module="",
        ),
        Tool(
            # What one without a release's build flags says of its version is "dev".
            name="go-httpbin",
            version="v2.26.0",
            version_arguments=(),
            fit=((2, 26, 0), (2, 26, 1)),
            module="github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin",
        ),
        Tool(
            # Asks by gRPC, as people do from a shell. It tells its version on stderr alone.
            name="grpcurl",
            version="v1.9.4",
            version_arguments=(),
            fit=((1, 9, 0), (2, 0, 0)),
            module="github.com/fullstorydev/grpcurl/cmd/grpcurl",
            ldflags="-X main.version=v1.9.4",
        ),
        Tool(
            # The last that `go install` can be told of; the tests count its cases.
            name="h2spec",
            version="v2.2.1+incompatible",
            version_arguments=("--version",),
            fit=((2, 2, 1), (2, 2, 2)),
            module="github.com/summerwind/h2spec/cmd/h2spec",
            ldflags="-X main.VERSION=2.2.1",
        ),
        Tool(
            name="helm",
            version="v4.3.1",
            version_arguments=("version", "--template", "{{.Version}}"),
            fit=((4, 0, 0), (5, 0, 0)),
            module="helm.sh/helm/v4/cmd/helm",
            ldflags="-X helm.sh/helm/v4/internal/version.version=v4.3.1",
        ),
        Tool(
            # The chart is for both.
            name="helm3",
            version="v3.22.0",
            version_arguments=("version", "--template", "{{.Version}}"),
            fit=((3, 18, 0), (4, 0, 0)),
            module="helm.sh/helm/v3/cmd/helm",
            ldflags="-X helm.sh/helm/v3/internal/version.version=v3.22.0",
            within=_WITH_HELM,
            program="helm",
        ),
        Tool(
            name="kind",
            version="v0.33.0",
            version_arguments=("version",),
            fit=((0, 33, 0), (0, 40, 0)),
            module="sigs.k8s.io/kind",
        ),
        Tool(
            name="kubeconform",
            version="v0.8.0",
            version_arguments=("-v",),
            fit=((0, 7, 0), (1, 0, 0)),
            module="github.com/yannh/kubeconform/cmd/kubeconform",
            ldflags="-X main.version=v0.8.0",
            within=_WITH_HELM,
        ),
        Tool(
            # One minor version away from the cluster's at most.
            # https://kubernetes.io/releases/version-skew-policy/#kubectl
            name="kubectl",
            version=f"v{_KUBERNETES}",
            version_arguments=("version", "--client"),
            fit=((1, 36, 0), (1, 39, 0)),
            module="",  # a main package of our own, beside this file
            ldflags=f"-X {_COMPONENT_BASE}.gitVersion=v{_KUBERNETES}"
            f" -X {_COMPONENT_BASE}.gitMajor={_KUBERNETES_MAJOR} -X {_COMPONENT_BASE}.gitMinor={_KUBERNETES_MINOR}",
        ),
        Tool(
            # The same code as in kubectl, at a tenth of its time to build. Newer ones ask for Go 1.27, or another
            # kustomize/api than Helm 4 has.
            name="kustomize",
            version="v5.8.1",
            version_arguments=("version",),
            fit=((5, 4, 0), (6, 0, 0)),
            module="sigs.k8s.io/kustomize/kustomize/v5",
            ldflags="-X sigs.k8s.io/kustomize/api/provenance.version=v5.8.1",
            within=_WITH_HELM,
        ),
        Tool(
            # Judges rules and metrics as Prometheus reads them. Left out is what looks for targets in the clouds of
            # others, each with a client library of its own. Prometheus 3.16 is the version 0.316 of its Go module.
            name="promtool",
            version="v3.16.0",
            version_arguments=("--version",),
            fit=((3, 0, 0), (4, 0, 0)),
            module="github.com/prometheus/prometheus/cmd/promtool",
            ldflags="-X github.com/prometheus/common/version.Version=3.16.0",
            module_version="v0.316.0",
            tags="remove_all_sd",
        ),
        Tool(
            # Asks at a rate that no answer slows down. It does not tell its version.
            name="vegeta",
            version="v12.13.0",
            version_arguments=(),
            fit=((12, 13, 0), (12, 14, 0)),
            module="github.com/tsenart/vegeta/v12",
        ),
    )
}


class ToolError(Exception):
    """A program can't be had; the message says which and what to do."""


def version_of(output: str) -> Version | None:
    """Find the first version in what a program prints of itself."""
    match = _VERSION.search(output)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def is_fit(tool: Tool, output: str) -> bool:
    """Tell whether what a program prints of itself is a version that the tests were made for."""
    version = version_of(output)
    return version is not None and tool.fit[0] <= version < tool.fit[1]


def find(tool: Tool, environ: Mapping[str, str]) -> Path:
    """Give a fit program: from PATH, else the pinned one, built when it is not there. Raises `ToolError`."""
    on_path = shutil.which(tool.program or tool.name, path=environ.get("PATH"))
    if on_path and tool.version_arguments:
        output = subprocess.run([on_path, *tool.version_arguments], capture_output=True, text=True, check=False).stdout
        if is_fit(tool, output):
            return Path(on_path)
        say_to_stderr(
            f"{on_path} is {output.strip().splitlines()[0] if output.strip() else 'of no known version'}: not fit"
        )
    if not tool.pinned.exists():
        _build(tool, environ)
    return tool.pinned


def _build(tool: Tool, environ: Mapping[str, str]) -> None:
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        lowest = ".".join(map(str, tool.fit[0]))
        raise ToolError(
            f"{tool.name} {lowest} or newer is needed: install it, or install Go 1.26 or newer to have it built here"
        )
    say_to_stderr(f"building {tool.name} {tool.version} into {BUILT.relative_to(ROOT)}, once, a minute or two ...")
    began = time.monotonic()
    BUILT.mkdir(parents=True, exist_ok=True)
    flags = ["-trimpath", "-ldflags", f"-s -w {tool.ldflags}".strip(), *(["-tags", tool.tags] if tool.tags else [])]
    if tool.module and not tool.within:
        command = [go, "install", *flags, f"{tool.module}@{tool.module_version or tool.version}"]
        made, folder = BUILT / tool.name, ROOT
    else:
        made, folder = BUILT / f"{tool.name}.new", HERE / (tool.within or tool.name)
        command = [go, "build", *flags, "-o", str(made), tool.module or "."]
    done = subprocess.run(
        command, cwd=folder, env={**environ, "CGO_ENABLED": "0", "GOBIN": str(BUILT)}, stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise ToolError(f"{tool.name} could not be built: {' '.join(command)}")
    made.replace(tool.pinned)
    say_to_stderr(f"built {tool.name} in {time.monotonic() - began:.0f} s")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print the path of each program named. Gives the exit code."""
    unknown = [name for name in arguments if name not in TOOLS]
    if unknown or not arguments:
        say_to_stderr(f"usage: python -m tests.toolchain {{{','.join(TOOLS)}}} ...")
        return 2
    try:
        for name in arguments:
            print(find(TOOLS[name], environ))  # noqa: T201 - what was asked for
    except ToolError as error:
        say_to_stderr(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

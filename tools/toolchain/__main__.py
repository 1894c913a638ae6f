"""Programs that the tests run: found on PATH, or built by Go.

`python -m tools.toolchain NAME ...` prints the path of each program. A program on PATH is used if the tests support its
version; otherwise the pinned version is built into `.tools/bin`. Progress goes to stderr: stdout has only the paths.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fcntl import LOCK_EX, flock
from pathlib import Path

from tools.commands import ROOT, say_to_stderr
from tools.toolchain.helms import RELEASES
from tools.toolchain.supported import KUSTOMIZE_VERSIONS, Version, helm_versions

BUILT = ROOT / ".tools" / "bin"
HERE = Path(__file__).parent

# kubectl has the version of the cluster, which is that of its node image.
_KUBERNETES = "1.37.2"
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Tool:
    """A program, the versions of it that the tests support (from, below), and how the pinned version is built.

    `module` is a published main package. It is built by `go install MODULE@VERSION` without further flags, which
    gives the program that people get: its own go.mod selects its dependencies. If `module` is empty, the main package
    is the folder `name` beside this file, and only such a package has `ldflags`.

    `module_version` is the version of the Go module if it differs from the program's. `tags` are Go build tags.
    A program that does not report its version has no `version_arguments`; it is always the pinned one.
    """

    name: str
    version: str
    version_arguments: Sequence[str]
    fit: tuple[Version, Version]
    module: str
    ldflags: str = ""
    module_version: str = ""
    tags: str = ""

    @property
    def pinned(self) -> Path:
        """Return the path of the pinned version after it is built."""
        return BUILT / f"{self.name}@{self.version}"

    @property
    def pinned_module_version(self) -> str:
        """Return the version of the Go module that the pinned version is built from."""
        return self.module_version or self.version


_KUBERNETES_MAJOR, _KUBERNETES_MINOR, _ = _KUBERNETES.split(".")
_COMPONENT_BASE = "k8s.io/component-base/version"

TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            # Evaluates NetworkPolicies. It does not report its version.
            name="cyclonus",
            version="v0.5.6",
            version_arguments=(),
            fit=((0, 5, 6), (0, 5, 7)),
            module="github.com/mattfenwick/cyclonus/cmd/cyclonus",
        ),
        Tool(
            # The Gateway API's echo server, of the version whose conformance client the tests use.
            name="echo-basic",
            version="v1.4.1",
            version_arguments=(),
            fit=((1, 4, 1), (1, 4, 2)),
            module="sigs.k8s.io/gateway-api/conformance/echo-basic",
        ),
        Tool(
            # Its echo alone; its go.mod selects the version.
            name="fortio",
            version="v1.75.3",
            version_arguments=(),
            fit=((1, 75, 3), (1, 75, 4)),
            module="",
        ),
        Tool(
            # Without a release's build flags it reports the version "dev".
            name="go-httpbin",
            version="v2.26.0",
            version_arguments=(),
            fit=((2, 26, 0), (2, 26, 1)),
            module="github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin",
        ),
        Tool(
            # A gRPC client as people use it in a shell. It reports its version on stderr only.
            name="grpcurl",
            version="v1.9.4",
            version_arguments=(),
            fit=((1, 9, 0), (2, 0, 0)),
            module="github.com/fullstorydev/grpcurl/cmd/grpcurl",
        ),
        Tool(
            # The newest version that `go install` accepts; the tests count its cases.
            name="h2spec",
            version="v2.2.1+incompatible",
            version_arguments=("--version",),
            fit=((2, 2, 1), (2, 2, 2)),
            module="github.com/summerwind/h2spec/cmd/h2spec",
        ),
        Tool(
            name="helm",
            version=f"v{RELEASES[-1].version}",
            version_arguments=("version", "--template", "{{.Version}}"),
            fit=helm_versions(),
            module=RELEASES[-1].package,
        ),
        Tool(
            # Writes the table of values in the chart's README. `go install` leaves its version out.
            name="helm-docs",
            version="v1.14.2",
            version_arguments=("--version",),
            fit=((1, 14, 2), (2, 0, 0)),
            module="github.com/norwoodj/helm-docs/cmd/helm-docs",
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
        ),
        Tool(
            # At most one minor version older or newer than the cluster.
            # https://kubernetes.io/releases/version-skew-policy/#kubectl
            name="kubectl",
            version=f"v{_KUBERNETES}",
            version_arguments=("version", "--client"),
            fit=((1, 36, 0), (1, 39, 0)),
            module="",  # its folder says why
            ldflags=f"-X {_COMPONENT_BASE}.gitVersion=v{_KUBERNETES}"
            f" -X {_COMPONENT_BASE}.gitMajor={_KUBERNETES_MAJOR} -X {_COMPONENT_BASE}.gitMinor={_KUBERNETES_MINOR}",
        ),
        Tool(
            # The newest version that Go 1.26 builds.
            name="kustomize",
            version="v5.8.2",
            version_arguments=("version",),
            fit=KUSTOMIZE_VERSIONS,
            module="sigs.k8s.io/kustomize/kustomize/v5",
        ),
        Tool(
            # Checks rules and metrics as Prometheus parses them. Prometheus 3.16 is version 0.316 of its Go module.
            name="promtool",
            version="v3.16.0",
            version_arguments=("--version",),
            fit=((3, 0, 0), (4, 0, 0)),
            module="github.com/prometheus/prometheus/cmd/promtool",
            module_version="v0.316.0",
            # The only build tag: without it every cloud's client library is compiled for service discovery, which the
            # tests don't use. Measured on two cores: five more minutes of CPU time, 46 MB more.
            tags="remove_all_sd",
        ),
        Tool(
            # A load generator with a constant request rate. It does not report its version.
            name="vegeta",
            version="v12.13.0",
            version_arguments=(),
            fit=((12, 13, 0), (12, 14, 0)),
            module="github.com/tsenart/vegeta/v12",
        ),
    )
}
# The Helm releases of `make test-chart` by their versions, oldest first. Each is always built: what PATH has is no row.
HELMS = {
    release.version: Tool(
        name="helm",
        version=f"v{release.version}",
        version_arguments=(),
        fit=helm_versions(),
        module=release.package,
    )
    for release in RELEASES
}
OLDEST_KUSTOMIZE = replace(TOOLS["kustomize"], version="v5.0.1", version_arguments=())
# More names on the command line: versions that are always built.
GROUPS = {
    "helm-oldest": list(HELMS.values())[:1],
    "helm-newest": list(HELMS.values())[-1:],
    "helms": list(HELMS.values()),
    "kustomize-oldest": [OLDEST_KUSTOMIZE],
}


class ToolError(Exception):
    """A program is missing and can't be built; the message names it and says what to do."""


def version_of(output: str) -> Version | None:
    """Return the first version in what a program prints about itself."""
    match = _VERSION.search(output)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def is_fit(tool: Tool, output: str) -> bool:
    """Return whether a program that prints this about itself has a version that the tests support."""
    version = version_of(output)
    return version is not None and tool.fit[0] <= version < tool.fit[1]


def find(tool: Tool, environ: Mapping[str, str]) -> Path:
    """Return the path of a supported program: from PATH, or the pinned one, built if missing.

    Raise `ToolError` if neither is available.
    """
    on_path = shutil.which(tool.name, path=environ.get("PATH")) if tool.version_arguments else None
    if on_path:
        output = subprocess.run([on_path, *tool.version_arguments], capture_output=True, text=True, check=False).stdout
        if is_fit(tool, output):
            return Path(on_path)
        found = output.strip().splitlines()[0] if output.strip() else "of unknown version"
        say_to_stderr(f"{on_path} is not used: it is {found}")
    if not tool.pinned.exists():
        _build(tool, environ)
    return tool.pinned


def _build(tool: Tool, environ: Mapping[str, str]) -> None:
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        lowest = ".".join(map(str, tool.fit[0]))
        needed = (
            f"{tool.name} {lowest} or newer is needed: install it, or"
            if tool.version_arguments
            else (f"{tool.name} {tool.version} is needed:")
        )
        raise ToolError(f"{needed} install Go 1.26 or newer to have it built here")
    BUILT.mkdir(parents=True, exist_ok=True)
    # One build at a time: each uses every processor, and a Helm's needs gigabytes.
    with (BUILT / "build.lock").open("w") as lock, tempfile.TemporaryDirectory(dir=BUILT) as folder:
        flock(lock, LOCK_EX)
        if tool.pinned.exists():  # built in the meantime by another process
            return
        say_to_stderr(
            f"building {tool.name} {tool.version} into {BUILT.relative_to(ROOT)}; once, up to three minutes ..."
        )
        start = time.monotonic()
        command = _command(tool, go, folder)
        # Without cgo no C compiler is needed, and every machine builds the same statically linked program.
        done = subprocess.run(
            command,
            cwd=ROOT if tool.module else HERE / tool.name,
            env={**environ, "CGO_ENABLED": "0", "GOBIN": folder},
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode:
            raise ToolError(f"{tool.name} {tool.version} could not be built: {' '.join(command)}")
        (program,) = Path(folder).iterdir()
        program.replace(tool.pinned)
    say_to_stderr(f"built {tool.name} {tool.version} in {time.monotonic() - start:.0f} s")


def _command(tool: Tool, go: str, folder: str) -> list[str]:
    if tool.module:
        tags = ["-tags", tool.tags] if tool.tags else []
        return [go, "install", *tags, f"{tool.module}@{tool.pinned_module_version}"]
    return [go, "build", "-trimpath", "-ldflags", f"-s -w {tool.ldflags}".strip(), "-o", f"{folder}/{tool.name}", "."]


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print the path of each program named; return the exit code."""
    groups = {**{name: [tool] for name, tool in TOOLS.items()}, **GROUPS}
    unknown = [name for name in arguments if name not in groups]
    if unknown or not arguments:
        say_to_stderr(f"usage: python -m tools.toolchain {{{','.join(groups)}}} ...")
        return 2
    try:
        for tool in (tool for name in arguments for tool in groups[name]):
            print(find(tool, environ))  # noqa: T201 - the result
    except ToolError as error:
        say_to_stderr(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

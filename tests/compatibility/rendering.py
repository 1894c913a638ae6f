"""The chart as one particular Helm lints, renders or rejects it, offline."""

import os
import re
import subprocess
from pathlib import Path

import yaml

from tests.chart.rendering import CHART, KUBERNETES, LOADER, Manifest
from tests.http.programs import missing
from tools.commands import run
from tools.toolchain.__main__ import Tool, ToolError, find

# The error of Helm's JSON Schema libraries for `--set replicas=3`.
UNKNOWN_KEY = re.compile(r"[Aa]dditional propert(y|ies) '?replicas'? (is )?not allowed")

_SECONDS = 60
_NO_CLUSTER = {"KUBECONFIG": os.devnull}
# A Helm built by `go install` may assume Kubernetes 1.20, which the chart rejects.
_KUBE_VERSION = ("--kube-version", KUBERNETES)


def program(tool: Tool) -> Path:
    """Return the path of a program, built if missing. If it is not available, the test ends as `missing` says."""
    try:
        return find(tool, os.environ)
    except ToolError as error:
        missing(str(error))


def lint(helm: Path, *flags: str) -> str:
    """Lint the chart, warnings as errors; return Helm's output. Raise `AssertionError` if it fails."""
    done = _run(helm, "lint", "--strict", CHART, *_KUBE_VERSION, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def objects(helm: Path, *flags: str, chart: Path = CHART) -> list[Manifest]:
    """Render the chart; return its objects in Helm's order. Raise `CommandError` if it fails."""
    text = run(helm, *_template(chart), *flags, environ=_NO_CLUSTER)
    return [document for document in yaml.load_all(text, LOADER) if document]


def rejection(helm: Path, *flags: str, chart: Path = CHART) -> str:
    """Return Helm's stderr when it rejects values."""
    done = _run(helm, *_template(chart), *flags)
    assert done.returncode != 0, f"{helm} accepts {flags}"
    assert done.stdout == ""
    return done.stderr


def chart_sentences(stderr: str) -> list[str]:
    """Return the chart's own sentences about contradictory values from Helm's output."""
    return re.findall(r"^ *- (.+)$", stderr, re.MULTILINE)


def _run(helm: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environ = os.environ | _NO_CLUSTER
    return subprocess.run(
        [helm, *arguments], env=environ, capture_output=True, text=True, timeout=_SECONDS, check=False
    )


def _template(chart: Path) -> list[str | Path]:
    # Not "default", because a chart that omits its release's namespace would pass unnoticed.
    return ["template", "echo", chart, "--namespace", "echo", *_KUBE_VERSION]

"""Objects of k8s/overlays/monitoring, generated from the chart's files.

kustomize does not load files from outside of its folder.
"""

import re
from typing import Any, Final

import yaml

from app import __version__
from tests.chart.rendering import CHART, MANIFESTS
from tools.chart import dashboard

FOLDER: Final = MANIFESTS / "overlays" / "monitoring"
RULE: Final = FOLDER / "prometheusrule.yaml"
DASHBOARD: Final = FOLDER / "grafanadashboard.yaml"
ALERTS: Final = CHART / "files" / "alerts.yaml"

_MADE: Final = "# Generated from helm/files by `make format`: do not edit."
_LONG_LINES: Final = "# Lines of JSON can't be broken.\n# yamllint disable rule:line-length\n"
_HEAD: Final = """\
{made}
apiVersion: {version}
kind: {kind}
metadata:
  name: {name}
  labels:
    app.kubernetes.io/name: echo
    app.kubernetes.io/instance: echo
    app.kubernetes.io/version: "{release}"
    app.kubernetes.io/component: server
    app.kubernetes.io/part-of: echo
    {label}
"""


def rule(values: dict[str, Any]) -> str:
    """Return the PrometheusRule. `values` are the chart's, of prometheusRule; one that is null has no alert."""
    text = ALERTS.read_text().replace("__selector__", values["selector"])
    for name in re.findall(r"__(\w+?)__", text):
        text = text.replace(f"__{name}__", str(values[name])) if values[name] is not None else text
    alerts = re.split(r"^(?=- alert: )", text, flags=re.MULTILINE)[1:]
    kept = "".join(alert for alert in alerts if not re.search(r"__\w+__", alert))
    head = _head("monitoring.coreos.com/v1", "PrometheusRule", "echo", "release: kube-prometheus-stack")
    return f"{head}spec:\n  groups:\n    - name: echo\n      rules:\n{_indented(kept, 8)}"


def config_map() -> str:
    """Return the ConfigMap with the dashboard."""
    head = _head("v1", "ConfigMap", "echo-dashboard", 'grafana_dashboard: "1"')
    return f"{_LONG_LINES}{head}data:\n  echo.json: |-\n{_indented(dashboard.text(), 4)}"


def values() -> dict[str, Any]:
    """Return the chart's values of prometheusRule that correspond to the overlay."""
    default, chosen = (
        yaml.safe_load((CHART / name).read_text())["prometheusRule"]
        for name in ("values.yaml", "ci/monitoring-values.yaml")
    )
    return dict(default | chosen)


def _head(version: str, kind: str, name: str, label: str) -> str:
    return _HEAD.format(made=_MADE, version=version, kind=kind, name=name, label=label, release=__version__)


def _indented(text: str, spaces: int) -> str:
    return re.sub(r"^(?=.)", " " * spaces, text, flags=re.MULTILINE)

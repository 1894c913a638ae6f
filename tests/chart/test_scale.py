"""The README's values for many requests."""

from pathlib import Path
from typing import Final

import yaml

from tests.chart.rendering import chart
from tools.commands import ROOT

_BEFORE: Final = "What to set for it:\n\n```yaml\n"


def test_the_readmes_values_for_many_requests_are_ones_that_the_chart_takes(tmp_path: Path) -> None:
    """They are an autoscaler of pods that request a core each, and a maximum number of requests per connection."""
    _, _, behind = (ROOT / "README.md").read_text(encoding="utf-8").partition(_BEFORE)
    text = behind.partition("```")[0]
    values = yaml.safe_load(text)
    (tmp_path / "values.yaml").write_text(text, encoding="utf-8")
    objects = chart(f"--values={tmp_path / 'values.yaml'}")
    scaler = objects.one("HorizontalPodAutoscaler")["spec"]
    assert scaler["maxReplicas"] == values["autoscaling"]["maxReplicas"]
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    (container,) = objects.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"] == "1"
    assert {"name": "ECHO_MAX_REQUESTS", "value": "10000"} in container["env"]

"""What `helm install` prints: commands that can be copied as they stand."""

from functools import cache

import pytest

from tests.chart.rendering import CHART, helm


@cache
def notes(release: str, *flags: str) -> list[str]:
    """Give the notes as lines, without their indentation, as a dry run prints them without a cluster."""
    printed = helm("install", release, str(CHART), "--dry-run=client", "--namespace", "trial", *flags)
    return [line.strip() for line in printed.partition("\nNOTES:\n")[2].splitlines()]


@pytest.mark.parametrize(
    ("release", "flags", "name", "port"),
    [
        pytest.param("echo", (), "echo", 80, id="by default"),
        pytest.param("demo", ("--set", "service.port=8000"), "demo-echo", 8000, id="another name and port"),
    ],
)
def test_the_notes_have_the_exact_commands(release: str, flags: tuple[str, ...], name: str, port: int) -> None:
    """They wait, forward a port, ask, and test: by the namespace, name and port that were installed."""
    lines = notes(release, *flags)
    commands = [line for line in lines if line.startswith(("kubectl ", "curl ", "helm "))]
    assert commands == [
        f"kubectl --namespace trial rollout status deployment/{name}",
        f"kubectl --namespace trial port-forward svc/{name} 8080:{port}",
        "curl http://127.0.0.1:8080/blah/blah",
        f"helm --namespace trial test {release}",
    ]


def test_the_notes_show_the_answer_to_expect() -> None:
    """The answer stands on a line of its own, below the command that gives it."""
    lines = notes("echo")
    assert lines.index("<b>Got: blah/blah</b>!") > lines.index("curl http://127.0.0.1:8080/blah/blah")

"""Output of `helm install`: commands to copy, for what was installed."""

import shutil
import subprocess
from collections.abc import Callable

import pytest
import yaml

from tests.chart.rendering import CHART, template, value_sets

WAIT = "kubectl --namespace trial rollout status deployment/echo"
FORWARD = "kubectl --namespace trial port-forward svc/echo 8080:80"
FORWARD_TLS = "kubectl --namespace trial port-forward svc/echo 8443:443"
CURL = "curl http://127.0.0.1:8080/blah/blah"
CURL_TLS = "curl --insecure https://127.0.0.1:8443/blah/blah"
TEST = "helm --namespace trial test echo"
UNINSTALL = "helm --namespace trial uninstall echo"
BRACKETS = "| sed 's/.*:.*/[&]/'"  # around an IPv6 address
ADDRESS = f"""--output jsonpath="{{.status.loadBalancer.ingress[0]['ip','hostname']}}" {BRACKETS}"""

INSTALLED = {
    "by default": ((), [WAIT, FORWARD, CURL, TEST, UNINSTALL]),
    "another port": (
        ("--set=service.port=8000",),
        [WAIT, "kubectl --namespace trial port-forward svc/echo 8080:8000", CURL, TEST, UNINSTALL],
    ),
    "TLS, too": (("--set=tls.secretName=a",), [WAIT, FORWARD, CURL, FORWARD_TLS, CURL_TLS, TEST, UNINSTALL]),
    "nothing but TLS": (
        ("--set=tls.secretName=a,config.ECHO_TLS_ONLY=on",),
        [WAIT, FORWARD_TLS, CURL_TLS, TEST, UNINSTALL],
    ),
    "nothing but TLS, with a certificate": (
        ("--set=tls.secretName=a,tls.clientAuth=require,config.ECHO_TLS_ONLY=on",),
        [WAIT, FORWARD_TLS, CURL_TLS, UNINSTALL],
    ),
    "behind the PROXY protocol": (
        ("--set=config.ECHO_PROXY_PROTOCOL=on",),
        [WAIT, FORWARD, "curl --haproxy-protocol http://127.0.0.1:8080/blah/blah", TEST, UNINSTALL],
    ),
    "another form": (
        ("--set=config.ECHO_FORMAT=json",),
        [WAIT, FORWARD, r"curl http://127.0.0.1:8080/blah/blah\?echo_format=bare", TEST, UNINSTALL],
    ),
    "headless": (
        (f"--values={value_sets()['headless']}",),
        [WAIT, "kubectl --namespace trial port-forward deployment/echo 8080:8080", CURL, TEST, UNINSTALL],
    ),
    "ports of the nodes": (
        ("--set=service.type=NodePort",),
        [
            WAIT,
            FORWARD,
            CURL,
            (
                "curl \"http://$(kubectl get nodes --output jsonpath='{.items[0].status.addresses[0].address}' "
                f"{BRACKETS}):$("
                "kubectl --namespace trial get service echo --output jsonpath='{.spec.ports[0].nodePort}')/blah/blah\""
            ),
            TEST,
            UNINSTALL,
        ],
    ),
    "a load balancer": (
        ("--set=service.type=LoadBalancer",),
        [
            WAIT,
            FORWARD,
            CURL,
            f'curl "http://$(kubectl --namespace trial get service echo {ADDRESS}):80/blah/blah"',
            TEST,
            UNINSTALL,
        ],
    ),
    "an Ingress": (
        (f"--values={value_sets()['ingress']}",),
        [
            WAIT,
            FORWARD,
            CURL,
            (
                'curl --header "Host: echo.example.test" '
                f'"http://$(kubectl --namespace trial get ingress echo {ADDRESS})/blah/blah"'
            ),
            (
                'curl --header "Host: echo.example.test" '
                f'"http://$(kubectl --namespace trial get ingress echo {ADDRESS})/shown"'
            ),
            TEST,
            UNINSTALL,
        ],
    ),
    "an Ingress for every host": (
        ("--set=ingress.enabled=true",),
        [
            WAIT,
            FORWARD,
            CURL,
            f'curl "http://$(kubectl --namespace trial get ingress echo {ADDRESS})/blah/blah"',
            TEST,
            UNINSTALL,
        ],
    ),
    "a Gateway elsewhere, for some hosts": (
        (
            "--set=httpRoute.enabled=true,httpRoute.parentRefs[0].name=web,httpRoute.parentRefs[0].namespace=infra",
            "--set=httpRoute.hostnames={*.example.test}",
        ),
        [
            WAIT,
            FORWARD,
            CURL,
            (
                "kubectl --namespace trial wait "
                "--for=jsonpath='{.status.parents[0].conditions[?(@.type==\"Accepted\")].status}'=True httproute/echo"
            ),
            (
                'curl --header "Host: echo.example.test" "http://$(kubectl --namespace infra get gateway web '
                f"--output jsonpath='{{.status.addresses[0].value}}' {BRACKETS})/blah/blah\""
            ),
            TEST,
            UNINSTALL,
        ],
    ),
    "a Gateway, by gRPC": (
        ("--set=grpcRoute.enabled=true,grpcRoute.parentRefs[0].name=web,grpcRoute.hostnames={grpc.example.test}",),
        [
            WAIT,
            FORWARD,
            CURL,
            (
                "kubectl --namespace trial wait "
                "--for=jsonpath='{.status.parents[0].conditions[?(@.type==\"Accepted\")].status}'=True grpcroute/echo"
            ),
            (
                'grpcurl -plaintext -authority grpc.example.test "$(kubectl --namespace trial get gateway web '
                f"--output jsonpath='{{.status.addresses[0].value}}' {BRACKETS}):80\" "
                "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo"
            ),
            TEST,
            UNINSTALL,
        ],
    ),
    "an autoscaler": (
        (f"--values={value_sets()['ha']}",),
        [WAIT, FORWARD, CURL, "kubectl --namespace trial get horizontalpodautoscaler echo", TEST, UNINSTALL],
    ),
    "watched": (
        ("--set=podMonitor.enabled=true",),
        [
            WAIT,
            FORWARD,
            CURL,
            "kubectl --namespace trial port-forward deployment/echo 9090:9090",
            "curl http://127.0.0.1:9090/metrics",
            TEST,
            UNINSTALL,
        ],
    ),
    "no pod": (
        ("--set=replicaCount=0",),
        [WAIT, FORWARD, CURL, TEST, UNINSTALL, "kubectl --namespace trial scale deployment/echo --replicas=2"],
    ),
}


Notes = Callable[..., list[str]]


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Notes:
    """Return a function that returns the notes as lines without their indentation.

    They are rendered as an object in a copy of the chart: without a cluster, Helm prints notes only in a dry run, and
    Helm 3 not even then.
    """
    copied = shutil.copytree(CHART, tmp_path_factory.mktemp("chart") / "echo")
    text = (copied / "templates" / "NOTES.txt").read_text()
    wrapped = '{{- define "notes" }}' + text + '{{- end }}notes: {{ include "notes" . | toJson }}\n'
    (copied / "templates" / "notes.yaml").write_text(wrapped)

    def notes(*flags: str, release: str = "echo") -> list[str]:
        shown = ("--show-only", "templates/notes.yaml")
        rendered = yaml.safe_load(template(*shown, *flags, release=release, namespace="trial", chart=copied))
        return [line.strip() for line in rendered["notes"].splitlines()]

    return notes


def commands(lines: list[str]) -> list[str]:
    """Return the lines that are commands."""
    return [line for line in lines if line.startswith(("kubectl ", "curl ", "grpcurl ", "helm "))]


@pytest.mark.parametrize(("flags", "expected"), INSTALLED.values(), ids=INSTALLED.keys())
def test_the_notes_have_the_exact_commands(flags: tuple[str, ...], expected: list[str], notes: Notes) -> None:
    """They wait, forward a port, send requests by each enabled way, and test; a shell accepts each unchanged."""
    found = commands(notes(*flags))
    assert found == expected
    for command in found:
        subprocess.run(["bash", "-n", "-c", command], check=True, timeout=10)


@pytest.mark.parametrize(
    ("address", "host"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "[2001:db8::1]"), ("lb.example.test", "lb.example.test")],
)
def test_an_ipv6_address_is_put_into_brackets(address: str, host: str) -> None:
    """The pipe of each command that asks kubectl for an address adds them, run by a real shell."""
    command = ["bash", "-c", f'echo "http://$(printf %s {address} {BRACKETS}):80/"']
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"http://{host}:80/\n"


def test_the_notes_name_what_was_installed(notes: Notes) -> None:
    """They contain the namespace and name of the release."""
    assert commands(notes("--set", "service.port=8000", release="demo")) == [
        "kubectl --namespace trial rollout status deployment/demo-echo",
        "kubectl --namespace trial port-forward svc/demo-echo 8080:8000",
        CURL,
        "helm --namespace trial test demo",
        "helm --namespace trial uninstall demo",
    ]


def test_the_notes_show_the_answer_to_expect(notes: Notes) -> None:
    """The expected response is on a line of its own, below its command."""
    lines = notes()
    assert lines.index("<b>Got: blah/blah</b>!") > lines.index(CURL)


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        (("--set=replicaCount=1",), "replicaCount=2."),
        (("--set=autoscaling.enabled=true,autoscaling.minReplicas=1",), "autoscaling.minReplicas=2."),
    ],
)
def test_the_notes_warn_of_a_single_pod(flags: tuple[str, ...], value: str, notes: Notes) -> None:
    """The warning says what to set; with two pods there is none."""
    lines = notes(*flags)
    assert any(line.startswith("WARNING: there is one pod") for line in lines)
    assert value in lines
    assert not any("WARNING" in line for line in notes())


@pytest.mark.parametrize("name", value_sets())
def test_the_notes_have_no_gaps(name: str, notes: Notes) -> None:
    """For every set there are no consecutive empty lines, and no leftovers of a template."""
    lines = notes(f"--values={value_sets()[name]}")
    assert "\n\n\n" not in "\n".join(lines)
    assert not any("<no value>" in line or "{{" in line or "%!" in line for line in lines)

"""The pod of `helm test`: its environment, and its probe.

The probe is run for real against a stand-in for the Service.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import trustme

from tests.chart.rendering import CHART, Manifest, chart
from tests.http.process import closed_port, running


def probe(*flags: str, release: str = "echo", namespace: str = "trial") -> Manifest:
    """Return the only container of the pod."""
    (found,) = chart(*flags, release=release, namespace=namespace).hook()["spec"]["containers"]
    return dict(found)


@dataclass(frozen=True)
class Echo:
    """Responses of the stand-in. The defaults are correct."""

    bare: bytes = b"<b>Got: blah/blah</b>!"
    html: str = "text/html; charset=utf-8"
    path: str = "/blah/blah?from=helm-test"
    method: str = "GET"
    pod: str = "echo-7d4b9c6f5-x2x9k"
    namespace: str = "trial"
    json: str = "application/json"
    status: int = 200

    def answer(self, accept: str | None) -> tuple[str, bytes]:
        """Return Content-Type and body: JSON if it is accepted, else the bare response."""
        if accept != "application/json":
            return self.html, self.bare
        fields = {"path": self.path, "method": self.method, "pod": self.pod, "namespace": self.namespace}
        return self.json, json.dumps(fields).encode()


RIGHT = Echo()


@contextmanager
def serving(echo: Echo) -> Iterator[int]:
    """Serve on a free local port, which is yielded, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content_type, body = echo.answer(self.headers["Accept"])
            self.send_response(echo.status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def run(
    port: int, admin_port: int | None, *flags: str, host: str = "127.0.0.1", deadline: float = 30
) -> tuple[int, list[str]]:
    """Run the rendered probe as the pod does, but against other addresses. Return exit code and report."""
    container = probe(*flags)
    given = [flag for flag in container["args"] if "=" not in flag]
    named = dict(flag.removeprefix("--").split("=", 1) for flag in container["args"] if "=" in flag)
    named |= {"host": host, "port": str(port), "deadline": str(deadline)}
    if admin_port is not None:
        named["admin-port"] = str(admin_port)
    python, *program = container["command"]
    assert python == "python3"
    done = subprocess.run(
        [sys.executable, *program, *given, *(f"--{name}={value}" for name, value in named.items())],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_the_pod_runs_when_tested_and_leaves_nothing_behind() -> None:
    """It is a test hook that runs once, is deleted if it passed, and replaces one that failed."""
    hook = chart().hook()
    annotations = hook["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "test"
    assert set(annotations["helm.sh/hook-delete-policy"].split(",")) == {"before-hook-creation", "hook-succeeded"}
    assert hook["spec"]["restartPolicy"] == "Never"


def test_the_probe_ends_before_the_pod_is_ended() -> None:
    """Its own deadline is shorter than the pod's, so that there is always a report."""
    deadline = next(flag for flag in probe()["args"] if flag.startswith("--deadline="))
    assert float(deadline.partition("=")[2]) < chart().hook()["spec"]["activeDeadlineSeconds"]


def test_the_probe_runs_as_it_is_written() -> None:
    """Python receives the program as it is in files/probe.py: Kubernetes finds no `$(NAME)` to replace in it."""
    python, flag, program = probe()["command"]
    assert (python, flag) == ("python3", "-c")
    assert program == (CHART / "files" / "probe.py").read_text()
    assert "$(" not in program


@pytest.mark.parametrize(
    ("release", "flags", "host", "port", "prefix"),
    [
        pytest.param("echo", (), "echo.trial.svc", 80, "echo-", id="by default"),
        pytest.param("demo", ("--set", "service.port=8000"), "demo-echo.trial.svc", 8000, "demo-echo-", id="another"),
        pytest.param(
            "demo", ("--set", "fullnameOverride=" + "e" * 63), "e" * 63 + ".trial.svc", 80, "e" * 58, id="a long name"
        ),
    ],
)
def test_the_probe_is_told_what_was_installed(
    release: str, flags: tuple[str, ...], host: str, port: int, prefix: str
) -> None:
    """It requests the Service by DNS name and port, and expects the Deployment's pods and the release's namespace."""
    assert {
        f"--host={host}",
        f"--port={port}",
        "--admin-port=9090",
        "--namespace=trial",
        f"--pod-prefix={prefix}",
    } <= set(probe(*flags, release=release)["args"])


def test_a_right_echo_passes_with_a_line_for_each_check() -> None:
    """The report has what was probed, what was observed, and the count; the exit code is 0."""
    with serving(RIGHT) as port, closed_port() as admin_port:
        code, report = run(port, admin_port)
    assert report == [
        f"probing http://127.0.0.1:{port}",
        "ok    bare response: <b>Got: blah/blah</b>!",
        f"ok    JSON reflection: from pod {RIGHT.pod} in namespace trial",
        f"ok    admin port not in the Service: port {admin_port}: ConnectionRefusedError",
        "3 of 3 checks passed",
    ]
    assert code == 0


WRONG = {
    "another bare response": (replace(RIGHT, bare=b"<b>Got: blah/blah</b>!\n"), "bare response: the body is"),
    "another type of the bare response": (replace(RIGHT, html="text/html"), "bare response: the Content-Type is"),
    "another path": (replace(RIGHT, path="/blah/blah"), "JSON reflection: path is"),
    "another method": (replace(RIGHT, method="POST"), "JSON reflection: method is"),
    "another namespace": (replace(RIGHT, namespace="other"), "JSON reflection: namespace is"),
    "another release's pod": (replace(RIGHT, pod="other-7d4b9c6f5-x2x9k"), "JSON reflection: pod is"),
    "another type of the reflection": (
        replace(RIGHT, json="application/json; charset=utf-8"),
        "JSON reflection: the Content-Type is",
    ),
}


@pytest.mark.parametrize(("echo", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_echo_fails_and_is_told(echo: Echo, told: str) -> None:
    """One check fails with the observed value, the others pass, and the exit code is 1."""
    with serving(echo) as port, closed_port() as admin_port:
        code, report = run(port, admin_port)
    assert [line for line in report if line.startswith(f"FAIL  {told}")], report
    assert report[-1] == "2 of 3 checks passed"
    assert code == 1


def test_an_error_is_an_answer_and_not_waited_out() -> None:
    """A status other than 200 fails both checks at once."""
    with serving(replace(RIGHT, status=500)) as port, closed_port() as admin_port:
        code, report = run(port, admin_port)
    assert [line for line in report if "the status is 500, not 200" in line] == report[1:3]
    assert code == 1


def test_a_network_that_answers_for_every_address_is_no_admin_port() -> None:
    """A server that responds there does not know /version."""
    with serving(RIGHT) as port, serving(replace(RIGHT, status=404)) as admin_port:
        code, report = run(port, admin_port)
    assert (code, report[3]) == (
        0,
        f"ok    admin port not in the Service: port {admin_port}: another server responds 404",
    )


def test_an_admin_port_that_answers_fails() -> None:
    """A Service that exposes the admin port is detected."""
    with serving(RIGHT) as port, serving(RIGHT) as admin_port:
        code, report = run(port, admin_port)
    assert report[3].startswith(f"FAIL  admin port not in the Service: port {admin_port} responds 200")
    assert code == 1


def test_a_name_that_is_not_known_fails_every_check() -> None:
    """If the name can't be resolved, a port without a response proves nothing."""
    with closed_port() as admin_port:
        code, report = run(1, admin_port, host="echo.invalid", deadline=0)
    assert report[-1] == "0 of 3 checks passed"
    assert code == 1


def test_a_headless_service_has_no_port_to_be_closed() -> None:
    """Its name resolves to the pods' own addresses: the report says that the port was not checked."""
    headless = ("--set", "service.clusterIP=None,service.port=8080")
    assert not any(flag.startswith("--admin-port") for flag in probe(*headless)["args"])
    with serving(RIGHT) as port:
        code, report = run(port, None, *headless)
    assert code == 0
    assert report[3].startswith("ok    admin port not in the Service: not checked")


def test_silence_fails_at_the_deadline() -> None:
    """Without any response the checks fail with the last error at the deadline."""
    with closed_port() as port, closed_port() as admin_port:
        code, report = run(port, admin_port, deadline=0)
    assert [line for line in report if "no response in time" in line and "Refused" in line] == report[1:3]
    assert code == 1


# Settings with which echo responds, but not to every client that requests it as if they were at their defaults.
SET = {
    "another form": ("--set=config.ECHO_FORMAT=yaml",),
    "a dialect, and nothing else allowed": ("--set=config.ECHO_DIALECT=whoami,config.ECHO_CONTROLS=off",),
    "behind the PROXY protocol": ("--set=config.ECHO_PROXY_PROTOCOL=on",),
    "nothing but TLS, behind the PROXY protocol": (
        "--set=tls.secretName=a,config.ECHO_TLS_ONLY=on,config.ECHO_PROXY_PROTOCOL=on",
    ),
    "certificates asked for": ("--set=tls.secretName=a,config.ECHO_TLS_ONLY=on,tls.clientAuth=request",),
}


@pytest.mark.parametrize("flags", SET.values(), ids=SET.keys())
def test_an_echo_passes_however_it_is_set(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real echo with the chart's settings passes the probe."""
    (container,) = chart(*flags, namespace="trial").one("Deployment")["spec"]["template"]["spec"]["containers"]
    settings = {each["name"]: each["value"] for each in container["env"] if each["name"].startswith("ECHO_")}
    monkeypatch.setenv("POD_NAME", RIGHT.pod)
    monkeypatch.setenv("NAMESPACE", RIGHT.namespace)
    certified(tmp_path)
    given = {
        name.removeprefix("ECHO_").lower(): value.replace("/tls/", f"{tmp_path}/") for name, value in settings.items()
    }
    with running(**given) as echo, closed_port() as admin_port:
        code, report = run(echo.port, admin_port, *flags)
    assert report[-1] == "3 of 3 checks passed", report
    assert code == 0


def certified(folder: Path) -> None:
    """Write the files of a Secret to a folder."""
    authority = trustme.CA()
    certificate = authority.issue_cert("echo.trial.svc")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    certificate.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))


def test_the_port_that_speaks_tls_is_asked_where_no_other_answers() -> None:
    """A headless Service has one port for both, which the probe requests over TLS."""
    only = "tls.secretName=a,config.ECHO_TLS_ONLY=on"
    assert {"--port=443", "--tls"} <= set(probe("--set", only)["args"])
    assert {"--port=8080", "--tls"} <= set(probe("--set", f"{only},service.clusterIP=None,service.port=8080")["args"])
    assert "--tls" not in probe("--set", "tls.secretName=a")["args"]


def test_an_echo_that_answers_only_with_a_certificate_is_not_probed() -> None:
    """The pod has no certificate, so that there is no test instead of one that fails."""
    for flags in (
        "tls.secretName=a,config.ECHO_TLS_ONLY=true,tls.clientAuth=require",
        "config.ECHO_TLS_CERT=/a,config.ECHO_TLS_KEY=/b,config.ECHO_TLS_ONLY=on,config.ECHO_TLS_CLIENT_CA=/c",
    ):
        assert "Pod" not in {each["kind"] for each in chart("--set", flags).all}

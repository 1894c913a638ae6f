"""Probe of `helm test`: requests to the Service, by its DNS name.

It prints a line for each check. It runs in a pod of the service's own image, as an argument of `python3 -c`: it has
Python's standard library and nothing else. Kubernetes replaces a dollar sign before a parenthesis in a pod's command:
there must be none here.
"""

import argparse
import json
import socket
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

ATTEMPT_SECONDS = 5.0  # for one request
PAUSE_SECONDS = 0.5  # between two, while there is no response
CLOSED_SECONDS = 3.0  # for a port that must be closed; most networks refuse at once, some send nothing


class CheckError(Exception):
    """A failed check; the message has the expected and the actual value."""


@dataclass(frozen=True)
class Target:
    """The Service, and the facts that its responses must have. `deadline` is a time of `time.monotonic`."""

    host: str
    port: int
    admin_port: int | None  # None: a headless Service has no ports, and its name is the pods' own addresses
    namespace: str
    pod_prefix: str
    deadline: float
    tls: bool = False
    proxy_protocol: bool = False
    by_name: bool = False  # request each format by its name, since the default is another one


@dataclass(frozen=True)
class Answer:
    """One HTTP response."""

    status: int
    content_type: str | None
    body: bytes


class ServiceConnection(HTTPConnection):
    """A connection as the Service requires it: with a PROXY protocol header, over TLS, both, or neither."""

    def __init__(self, probed: Target) -> None:
        super().__init__(probed.host, probed.port, timeout=ATTEMPT_SECONDS)
        self.probed = probed

    def connect(self) -> None:
        """Connect, with PROXY protocol header and TLS if configured. Raise `OSError`."""
        super().connect()
        if self.probed.proxy_protocol:
            self.sock.sendall(b"PROXY UNKNOWN\r\n")
        if self.probed.tls:
            # Only the echo is under test; the authority of its certificate is not known here.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def ask(connection: HTTPConnection, target: str, accept: str | None) -> Answer:
    """Send one GET, without an Accept header if `accept` is None. Raise `OSError` or `HTTPException` on failure."""
    try:
        connection.request("GET", target, headers={} if accept is None else {"Accept": accept})
        response = connection.getresponse()
        return Answer(response.status, response.getheader("Content-Type"), response.read())
    finally:
        connection.close()


def ask_until_answered(probed: Target, target: str, accept: str | None = None) -> Answer:
    """Return the first response; repeat the request while there is none, as right after an installation."""
    while True:
        try:
            return ask(ServiceConnection(probed), target, accept)
        except (OSError, HTTPException) as error:
            if time.monotonic() + PAUSE_SECONDS > probed.deadline:
                raise CheckError(f"no response in time; the last attempt: {error!r}") from error
            time.sleep(PAUSE_SECONDS)


def equal(what: str, found: object, expected: object) -> None:
    """Raise `CheckError` with both values, unless they are equal."""
    if found != expected:
        raise CheckError(f"{what} is {found!r}, not {expected!r}")


def bare_answer(probed: Target) -> str:
    """Check that the bare response is exact."""
    answer = ask_until_answered(probed, "/blah/blah?echo_format=bare" if probed.by_name else "/blah/blah")
    equal("the status", answer.status, 200)
    equal("the Content-Type", answer.content_type, "text/html; charset=utf-8")
    equal("the body", answer.body, b"<b>Got: blah/blah</b>!")
    return answer.body.decode()


def reflection(probed: Target) -> str:
    """Check that the JSON reflection has the request, and a pod of this release."""
    target = "/blah/blah?from=helm-test" + ("&echo_format=json" if probed.by_name else "")
    answer = ask_until_answered(probed, target, "application/json")
    equal("the status", answer.status, 200)
    equal("the Content-Type", answer.content_type, "application/json")
    try:
        fields = json.loads(answer.body)
    except ValueError as error:
        raise CheckError(f"the body is not JSON: {answer.body!r}") from error
    if not isinstance(fields, dict):
        raise CheckError(f"the body is not an object: {answer.body!r}")
    equal("method", fields.get("method"), "GET")
    equal("path", fields.get("path"), target)
    equal("namespace", fields.get("namespace"), probed.namespace)
    pod = fields.get("pod")
    if not isinstance(pod, str) or not pod.startswith(probed.pod_prefix):
        raise CheckError(f"pod is {pod!r}, which does not begin with {probed.pod_prefix!r}")
    return f"from pod {pod} in namespace {probed.namespace}"


def admin_port_closed(probed: Target) -> str:
    """Check that the admin port is not in the Service.

    A name that can't be looked up is a failure: it would prove nothing.
    """
    if probed.admin_port is None:
        return "not checked: a headless Service leads to every port of its pods"
    try:
        answer = ask(HTTPConnection(probed.host, probed.admin_port, timeout=CLOSED_SECONDS), "/version", None)
    except socket.gaierror as error:
        raise CheckError(f"{probed.host} can't be looked up: {error}") from error
    except (OSError, HTTPException) as error:
        return f"port {probed.admin_port}: {type(error).__name__}"
    # Some networks respond for every address; it is not the echo, which has /version.
    if answer.status != HTTPStatus.OK:
        return f"port {probed.admin_port}: another server responds {answer.status}"
    raise CheckError(f"port {probed.admin_port} responds {answer.status} {answer.body!r}")


CHECKS: tuple[tuple[str, Callable[[Target], str]], ...] = (
    ("bare response", bare_answer),
    ("JSON reflection", reflection),
    ("admin port not in the Service", admin_port_closed),
)


def run(probed: Target) -> int:
    """Run every check, print a line for each, and return the exit code."""
    print(f"probing {'https' if probed.tls else 'http'}://{probed.host}:{probed.port}", flush=True)
    failures = 0
    for name, check in CHECKS:
        try:
            print(f"ok    {name}: {check(probed)}", flush=True)
        except CheckError as error:
            failures += 1
            print(f"FAIL  {name}: {error}", flush=True)
    print(f"{len(CHECKS) - failures} of {len(CHECKS)} checks passed", flush=True)
    return 1 if failures else 0


def main(argv: Sequence[str]) -> int:
    """Probe the Service that the command line names."""
    parser = argparse.ArgumentParser(prog="probe", description="Probes an echo through its Service.")
    parser.add_argument("--host", required=True, help="DNS name of the Service")
    parser.add_argument("--port", required=True, type=int, help="its port")
    parser.add_argument("--admin-port", type=int, help="a port that must be closed")
    parser.add_argument("--namespace", required=True, help="the namespace that responses must have")
    parser.add_argument("--pod-prefix", required=True, help="prefix of the name of the pod that responds")
    parser.add_argument("--deadline", required=True, type=float, help="seconds until there must be a response")
    parser.add_argument("--tls", action="store_true", help="speak TLS")
    parser.add_argument("--proxy-protocol", action="store_true", help="begin with a PROXY protocol header")
    parser.add_argument("--by-name", action="store_true", help="request each format by its name")
    given = parser.parse_args(argv)
    return run(
        Target(
            host=given.host,
            port=given.port,
            admin_port=given.admin_port,
            namespace=given.namespace,
            pod_prefix=given.pod_prefix,
            deadline=time.monotonic() + given.deadline,
            tls=given.tls,
            proxy_protocol=given.proxy_protocol,
            by_name=given.by_name,
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

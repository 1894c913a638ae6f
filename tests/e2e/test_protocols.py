"""HTTP/2, gRPC, WebSocket and TLS through the Service.

The clients are in a pod, and outside the cluster.
"""

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api
from websockets.sync.client import connect

from app.grpc import messages
from app.grpc.services import ECHO_SERVICE
from tests.e2e import protocols_client
from tests.e2e.cluster import Cluster
from tests.e2e.notes import run_as_they_stand
from tests.e2e.reaching import BARE, kubectl_port_forward, service_name
from tests.e2e.running import python_in_a_pod, tls_secret
from tests.e2e.watching import rolled_out
from tests.http.process import DEADLINE

NAMESPACE = "echo-protocols"
SECRET = "echo-tls"  # noqa: S105 - its name


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return a CA that signs the echo's certificate."""
    return trustme.CA()


@pytest.fixture(scope="module")
def namespace(
    cluster: Cluster, api: ApiClient, new_namespace: Callable[[str], Iterator[str]], authority: trustme.CA
) -> Iterator[str]:
    """Yield a namespace with an echo that serves TLS from a Secret, rolled out."""
    for name in new_namespace(NAMESPACE):
        certificate = authority.issue_cert(service_name(name), "localhost")
        CoreV1Api(api).create_namespaced_secret(name, tls_secret(SECRET, certificate))
        cluster.change("install", "echo", "./helm", "--namespace", name, "--set", f"tls.secretName={SECRET}")
        rolled_out(AppsV1Api(api), name, "echo")
        yield name


def test_each_is_spoken_through_the_service(
    cluster: Cluster, api: ApiClient, namespace: str, image: str, authority: trustme.CA
) -> None:
    """Each protocol works from another pod by the Service's DNS name, and each reflection shows it."""
    del cluster  # its evidence is saved if this fails
    host, code = service_name(namespace), Path(protocols_client.__file__).read_text()
    told = python_in_a_pod(api, namespace, image, code, host, authority.cert_pem.bytes().decode())
    ways = {"h2c": told["h2c"], "h2": told["h2"], "ws": told["ws"][0], "wss": told["wss"][0], "https": told["https"]}
    assert {way: (each["path"], each["proto"], "tls" in each) for way, each in ways.items()} == {
        "h2c": ("/h2", "HTTP/2.0", False),
        "h2": ("/h2", "HTTP/2.0", True),
        "ws": ("/socket", "HTTP/1.1", False),
        "wss": ("/socket", "HTTP/1.1", True),
        "https": ("/tls", "HTTP/1.1", True),
    }
    assert told["ws"][1:] == told["wss"][1:] == [True, True], "messages come back as they were"
    assert {each["tls"]["serverName"] for each in (told["h2"], told["wss"][0], told["https"])} == {host}
    assert told["h2"]["tls"]["negotiatedProtocol"] == "h2"
    for way, protocol in (("grpc", ""), ("grpcs", "h2")):
        assert told[way] == {
            "code": "0",
            "method": f"/{ECHO_SERVICE}/Echo",
            "authority": host,
            "pod": told[way]["pod"],
            "protocol": protocol,
        }
    ways |= {way: told[way] for way in ("grpc", "grpcs")}
    pods = {pod.metadata.name for pod in CoreV1Api(api).list_namespaced_pod(namespace).items}
    assert {each["pod"] for each in ways.values()} <= pods


def test_each_is_spoken_through_a_port_forward(cluster: Cluster, namespace: str, authority: trustme.CA) -> None:
    """Each protocol works through a port-forward, with common clients outside the cluster."""
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with kubectl_port_forward(cluster, namespace, 80) as port:
        with httpx.Client(http1=False, http2=True, timeout=DEADLINE, trust_env=False) as client:
            h2c = reflection(client, f"http://localhost:{port}/a")
        with connect(f"ws://localhost:{port}/socket", proxy=None) as socket:
            greeting = json.loads(socket.recv(DEADLINE))
            socket.send(b"\x00\xff")
            assert socket.recv(DEADLINE) == b"\x00\xff"
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            assert called(channel).authority == f"localhost:{port}"
    trusted = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    with (
        kubectl_port_forward(cluster, namespace, 443) as port,
        grpc.secure_channel(f"localhost:{port}", trusted) as channel,
    ):
        assert called(channel).tls_assertions.server_name == "localhost"
    with (
        kubectl_port_forward(cluster, namespace, 443) as port,
        httpx.Client(http2=True, verify=context, timeout=DEADLINE, trust_env=False) as client,
    ):
        h2 = reflection(client, f"https://localhost:{port}/a")
    assert (h2c["proto"], h2["proto"], greeting["proto"]) == ("HTTP/2.0", "HTTP/2.0", "HTTP/1.1")
    assert h2["tls"]["serverName"] == "localhost"


def test_the_commands_of_the_notes_run_as_they_stand(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """With TLS, the notes' commands work unchanged, and each curl command prints the response."""
    _, said = run_as_they_stand(cluster, namespace, tmp_path)
    answers = {command: answer for command, answer in said.items() if command.startswith("curl ")}
    assert answers
    assert set(answers.values()) == {BARE.decode()}


def called(channel: grpc.Channel) -> Any:
    """Call GrpcEcho; return its assertions."""
    response = messages.message_class("gateway_api_conformance.echo_basic.grpcecho.EchoResponse")
    call = channel.unary_unary(f"/{ECHO_SERVICE}/Echo", response_deserializer=response.FromString)
    return call(b"", timeout=DEADLINE).assertions


def reflection(client: httpx.Client, url: str) -> dict[str, Any]:
    """Request a reflection."""
    answer = client.get(url, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told

"""gRPC with real clients: grpcio and grpcurl.

grpcurl knows only what reflection returns.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.grpc import messages
from tests.http.process import DEADLINE, Echo, running, wait_until
from tests.http.programs import Secure, missing, running_with_tls
from tools.toolchain.__main__ import TOOLS, ToolError, find

SERVICE = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho"
ECHO = f"/{SERVICE}/Echo"
RESPONSE = messages.message_class("gateway_api_conformance.echo_basic.grpcecho.EchoResponse")
HEALTH = (
    messages.message_class("grpc.health.v1.HealthCheckRequest"),
    messages.message_class("grpc.health.v1.HealthCheckResponse"),
)
MAX_MESSAGE = 100_000
Metadata = tuple[tuple[str, str | bytes], ...]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Yield an echo that also speaks TLS, on the same port."""
    with running_with_tls(tmp_path_factory.mktemp("grpc"), max_message=MAX_MESSAGE) as secure:
        yield secure
        assert secure.echo.process.poll() is None, "it has lived through all of it"


@pytest.fixture(scope="module", params=["h2c", "TLS"])
def channel(request: pytest.FixtureRequest, secure: Secure) -> Iterator[grpc.Channel]:
    """Yield a channel to the echo, unencrypted or with TLS."""
    target = f"localhost:{secure.echo.port}"
    if request.param == "TLS":
        trusted = grpc.ssl_channel_credentials(secure.authority.read_bytes())
        opened = grpc.secure_channel(target, trusted)
    else:
        opened = grpc.insecure_channel(target)
    with opened:
        yield opened


def call(channel: grpc.Channel, method: str, raw: bytes = b"", *, metadata: Metadata = (), **how: Any) -> Any:
    """Call a method with the bytes of a message; return the parsed response. Raises `grpc.RpcError`."""
    # Without serializers, grpcio sends and returns bytes unchanged.
    answer: bytes = channel.unary_unary(method)(raw, metadata=metadata, **({"timeout": DEADLINE} | how))
    return RESPONSE.FromString(answer)


def test_what_arrived_is_told(channel: grpc.Channel, secure: Secure) -> None:
    """A response reports the method, the authority, the metadata in order, and the negotiated TLS parameters."""
    metadata: Metadata = (("x-b", "1"), ("x-a", "2"), ("x-b", "3"), ("x-c-bin", b"\0\xff"))
    for method in ("Echo", "EchoTwo"):
        told = call(channel, f"/{SERVICE}/{method}", metadata=metadata).assertions
        assert told.fully_qualified_method == f"/{SERVICE}/{method}"
        assert told.authority == f"localhost:{secure.echo.port}"
        own = [(each.key, each.value) for each in told.headers if each.key.startswith("x-")]
        assert own == [("x-b", "1"), ("x-a", "2"), ("x-b", "3"), ("x-c-bin", "AP8")]
        if told.HasField("tls_assertions"):
            tls = told.tls_assertions
            assert (tls.version, tls.negotiated_protocol, tls.server_name) == ("TLSv1.3", "h2", "localhost")
            assert tls.cipher_suite.startswith("TLS_")


def test_tls_is_told_where_it_is_spoken(secure: Secure) -> None:
    """A response reports TLS only if the call used TLS."""
    trusted = grpc.ssl_channel_credentials(secure.authority.read_bytes())
    target = f"localhost:{secure.echo.port}"
    with grpc.secure_channel(target, trusted) as by_tls, grpc.insecure_channel(target) as clear:
        assert call(by_tls, ECHO).assertions.HasField("tls_assertions")
        assert not call(clear, ECHO).assertions.HasField("tls_assertions")


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_a_client_may_ask_for_each_code(channel: grpc.Channel, code: grpc.StatusCode) -> None:
    """A client can request each status code by name and by number."""
    for name in (code.name, str(code.value[0])):
        with pytest.raises(grpc.RpcError) as ended:
            call(channel, ECHO, metadata=(("x-echo-status", name),))
        assert (ended.value.code(), ended.value.details()) == (code, "requested by x-echo-status")


@pytest.mark.parametrize(
    ("method", "raw", "metadata", "how", "code", "told"),
    [
        pytest.param(
            f"/{SERVICE}/EchoThree", b"", (), {}, "UNIMPLEMENTED", f"/{SERVICE}/EchoThree is", id="on purpose"
        ),
        pytest.param(
            "/a.B/C", b"", (), {}, "UNIMPLEMENTED", f"unknown method /a.B/C; available: {ECHO}", id="no method"
        ),
        pytest.param(ECHO, bytes(MAX_MESSAGE + 1), (), {}, "RESOURCE_EXHAUSTED", "ECHO_MAX_MESSAGE", id="too large"),
        pytest.param(
            ECHO,
            b"\x0a\x81\x8d\x06" + bytes(MAX_MESSAGE + 1),
            (),
            {"compression": grpc.Compression.Gzip},
            "RESOURCE_EXHAUSTED",
            "ECHO_MAX_MESSAGE",
            id="too large, once it is inflated",
        ),
        pytest.param(
            ECHO,
            b"\x0a\x64" + bytes(100),
            (),
            {"compression": grpc.Compression.Deflate},
            "UNIMPLEMENTED",
            "unsupported grpc-encoding deflate; must be one of identity, gzip",
            id="an unknown coding",
        ),
        pytest.param(
            ECHO, b"\xff", (), {}, "INTERNAL", "message is not a valid gateway_api_conformance", id="no message"
        ),
        pytest.param(ECHO, b"", (("x-echo-delay", "30s"),), {"timeout": 0.2}, "DEADLINE_EXCEEDED", "", id="a deadline"),
        pytest.param(ECHO, b"", (("x-echo-delay", "2m"),), {}, "INVALID_ARGUMENT", "x-echo-delay: 2m", id="a bound"),
    ],
)
def test_what_can_not_be_done_ends_with_a_code_and_a_sentence(  # noqa: PLR0913, PLR0917 - the table's columns
    channel: grpc.Channel, method: str, raw: bytes, metadata: Metadata, how: dict[str, Any], code: str, told: str
) -> None:
    """An invalid call ends with a code and a message, and the next call on the connection succeeds."""
    with pytest.raises(grpc.RpcError) as ended:
        call(channel, method, raw, metadata=metadata, **how)
    assert ended.value.code() is grpc.StatusCode[code]
    assert told in ended.value.details()
    call(channel, ECHO)


def test_compressed_messages_are_read(channel: grpc.Channel) -> None:
    """Messages compressed with gzip, which clients support, are accepted."""
    raw = b"\x0a\x64" + bytes(100)  # an unknown field, long enough to be compressed
    call(channel, ECHO, raw, compression=grpc.Compression.Gzip)


def test_a_client_may_ask_for_initial_metadata_after_a_delay(channel: grpc.Channel) -> None:
    """A client can request initial metadata and a delay, as HTTP clients can request headers."""
    metadata = (("x-echo-header", "x-answer:42"), ("x-echo-delay", "10ms"))
    _, told = channel.unary_unary(ECHO).with_call(b"", metadata=metadata, timeout=DEADLINE)
    assert ("x-answer", "42") in [(each.key, each.value) for each in told.initial_metadata()]


def test_calls_at_once_are_answered_each_for_itself(channel: grpc.Channel) -> None:
    """Calls above the limit of one connection wait for their turn; delayed calls do not hold up the others."""
    delays = ["50ms" if number % 3 else "1ms" for number in range(300)]
    method = channel.unary_unary(ECHO, response_deserializer=RESPONSE.FromString)
    futures = [
        method.future(b"", metadata=(("x-number", str(number)), ("x-echo-delay", delay)), timeout=DEADLINE)
        for number, delay in enumerate(delays)
    ]
    for number, future in enumerate(futures):
        headers = {each.key: each.value for each in future.result().assertions.headers}
        assert headers["x-number"] == str(number)


def metrics(echo: Echo) -> str:
    """Return the metrics."""
    return echo.get("/metrics", port=echo.admin_port)[1].decode()


def in_flight(echo: Echo) -> float:
    """Return the number of requests in flight, from the metrics."""
    (line,) = [line for line in metrics(echo).splitlines() if line.startswith("echo_requests_in_flight")]
    return float(line.rpartition(" ")[2])


def test_a_cancelled_call_stops(channel: grpc.Channel, secure: Secure) -> None:
    """A cancelled call is no longer in flight, long before its delay ends."""
    future = channel.unary_unary(ECHO).future(b"", metadata=(("x-echo-delay", "60s"),), timeout=2 * DEADLINE)
    wait_until(lambda: in_flight(secure.echo) == 1, "the call is under way")
    future.cancel()
    wait_until(lambda: in_flight(secure.echo) == 0, "it has stopped")


def test_who_watches_the_health_learns_of_the_end() -> None:
    """Watch reports the status at the start and at shutdown; the server does not wait for clients that only watch."""
    request, response = HEALTH
    with running() as echo, grpc.insecure_channel(f"127.0.0.1:{echo.port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", request.SerializeToString, response.FromString)
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch", request.SerializeToString, response.FromString)
        assert check(request(service=SERVICE), timeout=DEADLINE).status == response.SERVING
        with pytest.raises(grpc.RpcError) as ended:
            check(request(service="a.B"), timeout=DEADLINE)
        assert ended.value.code() is grpc.StatusCode.NOT_FOUND
        watching = watch(request(), timeout=2 * DEADLINE)
        assert next(watching).status == response.SERVING
        echo.process.send_signal(signal.SIGTERM)
        assert next(watching).status == response.NOT_SERVING
        with pytest.raises(grpc.RpcError) as ended:
            next(watching)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (echo.process.wait(DEADLINE), echo.errors()) == (0, "")


def test_the_log_and_the_metrics_have_the_method_and_the_code() -> None:
    """Log and metrics have the status code, also of cancelled calls; unknown methods become no metric label."""
    with running(access_log="json") as echo, grpc.insecure_channel(f"127.0.0.1:{echo.port}") as channel:
        call(channel, ECHO)
        for method, metadata in ((ECHO, (("x-echo-status", "NOT_FOUND"),)), ("/a.B/C", ())):
            with pytest.raises(grpc.RpcError):
                call(channel, method, metadata=metadata)
        told = [json.loads(line) for line in echo.says(3)]
        assert [(each["target"], each["grpc_status"], each["status"], each["format"]) for each in told] == [
            (ECHO, "OK", 200, "grpc"),
            (ECHO, "NOT_FOUND", 200, "grpc"),
            ("/a.B/C", "UNIMPLEMENTED", 200, "grpc"),
        ]
        future = channel.unary_unary(ECHO).future(b"", metadata=(("x-echo-delay", "60s"),), timeout=2 * DEADLINE)
        wait_until(lambda: in_flight(echo) == 1, "the call is under way")
        future.cancel()
        assert json.loads(echo.says()[0])["grpc_status"] == "CANCELLED"
        counted = {
            f'echo_grpc_calls_total{{code="{code}",method="{method}"}} 1.0'
            for method, code in (
                (ECHO[1:], "OK"),
                (ECHO[1:], "NOT_FOUND"),
                (ECHO[1:], "CANCELLED"),
                ("other", "UNIMPLEMENTED"),
            )
        }
        wait_until(lambda: counted <= set(metrics(echo).splitlines()), f"the metrics have {counted}")


def test_by_http1_it_is_any_request(secure: Secure) -> None:
    """A gRPC request over HTTP/1.1 is handled as an ordinary request, because gRPC requires HTTP/2."""
    answer, body = secure.echo.get(ECHO, {"Content-Type": "application/grpc"}, method="POST")
    assert (answer.status, body.decode()) == (200, f"<b>Got: {ECHO[1:]}</b>!")


@pytest.fixture(scope="module")
def grpcurl() -> Path:
    """Return the path of grpcurl, built if necessary."""
    try:
        return find(TOOLS["grpcurl"], os.environ)
    except ToolError as error:
        missing(str(error))


def asked(grpcurl: Path, secure: Secure, flags: tuple[str, ...], *what: str) -> subprocess.CompletedProcess[str]:
    """Run grpcurl unencrypted and with TLS; check that the results are equal, and return one."""
    target = f"localhost:{secure.echo.port}"
    (clear, by_tls) = (
        subprocess.run(
            [grpcurl, *how, *flags, target, *what], capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        for how in (("-plaintext",), ("-cacert", str(secure.authority)))
    )
    assert (clear.returncode, clear.stderr) == (by_tls.returncode, by_tls.stderr)
    return by_tls


def test_grpcurl_lists_what_there_is(grpcurl: Path, secure: Secure) -> None:
    """Without a file, grpcurl lists and describes the services by reflection."""
    assert asked(grpcurl, secure, (), "list").stdout.split() == sorted(
        [SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]
    )
    assert "rpc EchoTwo (" in asked(grpcurl, secure, (), "describe", SERVICE).stdout
    unknown = asked(grpcurl, secure, (), "describe", "a.B")
    assert unknown.returncode
    assert "a.B" in unknown.stderr


def test_grpcurl_calls_by_name(grpcurl: Path, secure: Secure) -> None:
    """Methods are called by name: grpcurl loads the messages by reflection, on the same connection."""
    told = json.loads(asked(grpcurl, secure, ("-H", "x-a: b"), f"{SERVICE}/Echo").stdout)["assertions"]
    assert {"key": "x-a", "value": "b"} in told["headers"]
    assert told["tlsAssertions"]["negotiatedProtocol"] == "h2"
    assert json.loads(asked(grpcurl, secure, (), "grpc.health.v1.Health/Check").stdout) == {"status": "SERVING"}
    failed = asked(grpcurl, secure, ("-H", "x-echo-status: DATA_LOSS"), f"{SERVICE}/Echo")
    assert "Code: DataLoss\n  Message: requested by x-echo-status" in failed.stderr

"""Spans that a running echo exports by OTLP to a collector."""

import signal
import subprocess
import sys
from contextlib import suppress

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.grpc.services import ECHO_SERVICE
from app.telemetry import otlp
from tests.http.collector import attributes, collecting
from tests.http.process import DEADLINE, closed_port, running, start
from tools.commands import ROOT

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}  # milliseconds for which spans are batched


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the SDK export spans at once."""
    for name, value in SOON.items():
        monkeypatch.setenv(name, value)


def test_each_request_is_a_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is a span with its parent, times and conventional attributes; the resource is the pod."""
    monkeypatch.setenv("POD_NAME", "echo-1")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    with collecting() as collector, running(otlp_endpoint=collector.endpoint + "/") as echo:
        echo.get("/a?b=c", {"traceparent": f"00-{TRACE}-{PARENT}-01", "User-Agent": "me"})
        echo.get("/late?echo_delay=50ms&echo_status=503", method="PUT")
        echo.exchange(b"SECRET / HTTP/1.1\r\n\r\n")
        first, late, refused = collector.spans(3)
    assert first.trace_id.hex() == TRACE
    assert first.parent_span_id.hex() == PARENT
    assert (first.name, first.kind, first.status.code) == ("GET", Span.SPAN_KIND_SERVER, 0)
    told = attributes(first)
    assert told.pop("network.peer.port") > 0
    assert len(told.pop("echo.request.id")) == 32
    assert told == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/a",
        "url.query": "b=c",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "network.peer.address": "127.0.0.1",
        "client.address": "127.0.0.1",
        "server.address": "127.0.0.1",
        "server.port": echo.port,
        "http.request.body.size": 0,
        "http.response.body.size": len("<b>Got: a</b>!"),
        "user_agent.original": "me",
        "echo.format": "bare",
    }
    assert (late.parent_span_id, late.status.code) == (b"", Status.STATUS_CODE_ERROR)
    assert late.trace_id not in {first.trace_id, bytes(16)}
    assert late.end_time_unix_nano - late.start_time_unix_nano >= 50_000_000
    assert attributes(late)["error.type"] == "503"
    assert attributes(refused)["echo.refusal"] == "no Host header"
    assert attributes(refused)["http.request.method"] == "_OTHER"
    assert refused.name == "HTTP"
    assert (collector.resource["service.name"], collector.resource["service.instance.id"]) == ("echo", "echo-1")
    assert collector.resource["deployment.environment.name"] == "test"


def test_a_call_has_its_method_and_its_code() -> None:
    """A gRPC call's span has its method and status code; only server errors are errors, by the conventions for gRPC."""
    with collecting() as collector, running(otlp_endpoint=collector.endpoint) as echo:
        with grpc.insecure_channel(f"127.0.0.1:{echo.port}") as channel:
            for code in ("OK", "NOT_FOUND", "DATA_LOSS"):
                wanted = (("x-echo-status", code), ("traceparent", f"00-{TRACE}-{PARENT}-01"))
                with suppress(grpc.RpcError):
                    channel.unary_unary(f"/{ECHO_SERVICE}/Echo")(b"", metadata=wanted, timeout=DEADLINE)
        spans = collector.spans(3)
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    told = [attributes(span) for span in spans]
    assert [each["rpc.grpc.status_code"] for each in told] == [0, 5, 15]
    assert {(each["rpc.system"], each["rpc.method"]) for each in told} == {("grpc", f"{ECHO_SERVICE}/Echo")}
    assert [span.status.code for span in spans] == [0, 0, Status.STATUS_CODE_ERROR]


def test_request_with_unsampled_traceparent_has_no_span() -> None:
    """The caller decides whether a trace is sampled; a B3 header has no influence."""
    with collecting() as collector, running(otlp_endpoint=collector.endpoint) as echo:
        echo.get("/unsampled", {"traceparent": f"00-{TRACE}-{PARENT}-00"})
        echo.get("/b3", {"b3": f"{TRACE}-{PARENT}-0"})
        (span,) = collector.spans(1)
    assert attributes(span)["url.path"] == "/b3"
    assert span.trace_id.hex() != TRACE


def test_redacted_headers_are_in_no_span() -> None:
    """A span has no value of a header that `ECHO_REDACT` names, and no parent if it names Traceparent."""
    settings = {"redact": "User-Agent,:path,Traceparent,X-Request-Id", "trusted_proxies": "127.0.0.0/8"}
    with collecting() as collector, running(otlp_endpoint=collector.endpoint, **settings) as echo:
        echo.get(
            "/SECRET?SECRET",
            {"User-Agent": "SECRET", "X-Request-Id": "SECRET", "traceparent": f"00-{TRACE}-{PARENT}-01"},
        )
        (span,) = collector.spans(1)
    assert "SECRET" not in str(span)
    assert span.trace_id.hex() != TRACE


def test_a_collector_that_is_not_there_holds_up_nobody() -> None:
    """If the collector is unreachable, requests get their responses, and the echo stops in time."""
    with closed_port() as nobody, running(otlp_endpoint=f"http://127.0.0.1:{nobody}", drain_seconds=5) as echo:
        assert [echo.get(f"/{number}")[0].status for number in range(20)] == [200] * 20
        assert echo.end(signal.SIGTERM) == 0


def test_a_variable_of_the_sdk_that_it_refuses_keeps_nobody_from_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invalid SDK variables are reported and disable spans; otherwise each worker would end again and again."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")  # less than a batch
    with collecting() as collector, running(otlp_endpoint=collector.endpoint) as echo:
        assert echo.get("/a")[1] == b"<b>Got: a</b>!"
        assert echo.end(signal.SIGTERM) == 0
        (said,) = echo.errors().splitlines()
        assert "invalid OTEL_* variables: max_export_batch_size must be" in said


def test_what_waits_is_sent_when_the_echo_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """At shutdown, batched spans are exported long before the scheduled time."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    with collecting() as collector, running(otlp_endpoint=collector.endpoint) as echo:
        echo.get("/a")
        assert echo.end(signal.SIGTERM) == 0
        assert len(collector.spans(1)) == 1


@pytest.mark.parametrize(
    "text", ["collector:4318", "grpc://collector:4317", "http://", "http://a:x", "http://[", "http://a:99999"]
)
def test_an_endpoint_that_is_none_stops_the_start(text: str) -> None:
    """An invalid endpoint is rejected with an example of a valid one."""
    with pytest.raises(ValueError, match="is not an http or https URL, such as http://collector:4318"):
        otlp.check_endpoint(text)


def test_a_start_without_the_library_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the library is missing, because it is optional, the error says how to install it."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(ValueError, match=r"not installed \(pip install .*requirements/otlp\.txt"):
        otlp.check_endpoint("http://collector:4318")


def test_nobody_else_pays_for_it() -> None:
    """Without an endpoint, no module of the SDK is loaded."""
    code = "import sys, app.bootstrap, app.__main__; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_bad_endpoint_is_named_at_the_start() -> None:
    """An invalid endpoint prevents startup, and is reported like every invalid setting."""
    failed = start(otlp_endpoint="nowhere")
    assert failed.returncode == 2
    assert "ECHO_OTLP_ENDPOINT='nowhere': 'nowhere' is not an http or https URL" in failed.stderr

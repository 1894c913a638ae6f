"""The load client against gRPC servers that lose calls in various ways."""

from collections.abc import Callable, Sequence
from hashlib import sha256

import hpack
import pytest

from app.grpc import messages
from app.grpc.framing import encode_message
from app.grpc.services import ECHO_SERVICE
from app.server.http2 import frames
from tests.e2e.load import grpc
from tests.e2e.load.asking import Kind
from tests.e2e.load.judging import Fault, Request, new_request
from tests.unit.losing import asked, assert_noted
from tests.unit.test_load_http2 import reset_by, speaking_http2


def fields_of(stream: int, fields: Sequence[tuple[str, str]], flags: int = 0) -> bytes:
    """Return a frame of headers, none of which is added to the table (RFC 7541, 6.2.2)."""
    block = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields])
    return frames.encode(frames.HEADERS, frames.END_HEADERS | flags, stream, block)


def answering(
    code: str = "0", method: str = f"/{ECHO_SERVICE}/Echo", **changes: str
) -> Callable[[int, Request], list[bytes]]:
    """Return a function that responds to a call, correctly by default: a head, a message, and trailers."""

    def answer(stream: int, request: Request) -> list[bytes]:
        told = messages.message_class("gateway_api_conformance.echo_basic.grpcecho.EchoResponse")()
        told.assertions.fully_qualified_method = method
        metadata = {
            "x-request-id": request.id,
            "x-load-method": request.method,
            "x-load-target": request.target,
            "x-load-length": str(len(request.body)),
            "x-load-sha256": sha256(request.body).hexdigest(),
        }
        for key, value in (
            metadata | {f"x-{name.replace('_', '-')}": value for name, value in changes.items()}
        ).items():
            told.assertions.headers.add(key=key, value=value)
        return [
            fields_of(stream, ((":status", "200"), ("x-request-id", request.id))),
            frames.encode(frames.DATA, 0, stream, encode_message(told.SerializeToString())),
            fields_of(stream, (("grpc-status", code),), frames.END_STREAM),
        ]

    return answer


right = answering()
# The frames that the server sends before it closes, and the fault that the client must find.
OVER_GRPC: dict[str, tuple[Callable[[int, Request], list[bytes]], Fault | None]] = {
    "right": (right, None),
    "nothing": (lambda *_: [], Fault.CLOSED),
    "a head": (lambda *what: right(*what)[:1], Fault.CUT),
    "no trailers": (lambda *what: right(*what)[:2], Fault.CUT),
    "a reset": (lambda stream, _: reset_by(stream, frames.ErrorCode.INTERNAL_ERROR), Fault.RESET),
    "a code": (answering("14"), Fault.FAILED),
    "an end without a code": (
        lambda stream, _: [fields_of(stream, ((":status", "200"),), frames.END_STREAM)],
        Fault.FAILED,
    ),
    "no message": (lambda *what: [right(*what)[0], right(*what)[2]], Fault.BROKEN),
    "a message that is none": (
        lambda *what: [
            right(*what)[0],
            frames.encode(frames.DATA, 0, what[0], encode_message(b"\xff")),
            right(*what)[2],
        ],
        Fault.BROKEN,
    ),
    "half a message": (
        lambda *what: [
            right(*what)[0],
            frames.encode(frames.DATA, 0, what[0], encode_message(b"a")[:-1]),
            right(*what)[2],
        ],
        Fault.BROKEN,
    ),
    "another method": (answering(method="/a/B"), Fault.BROKEN),
    "two answers": (lambda *what: right(*what) + right(*what)[2:], Fault.TWICE),
    "another's": (answering(request_id="other"), Fault.ANOTHER),
    "another digest": (answering(load_sha256="0"), Fault.CHANGED),
}


@pytest.mark.parametrize("sent", OVER_GRPC)
def test_each_loss_over_grpc_is_noted_by_its_name(sent: str) -> None:
    """A lost call, on its own connection, is recorded by name."""
    answer, fault = OVER_GRPC[sent]
    request = new_request("POST")
    tally = asked(Kind(grpc.PROTOCOL, 1, fresh=True), request, speaking_http2(request, answer))
    assert_noted(tally, fault)

"""gRPC calls over unencrypted HTTP/2.

Each call sends an id and a digest as metadata, and GrpcEcho returns both.
"""

import hashlib
from typing import Any, Final

import msgspec

from app.grpc import messages
from app.grpc.framing import MessageReader, encode_message
from app.grpc.services import ECHO_SERVICE
from app.grpc.status import CallError
from tests.e2e.load.http2 import Http2, Stream
from tests.e2e.load.judging import TIMEOUT, Answer, Request

PROTOCOL: Final = "gRPC"
_METHOD: Final = f"/{ECHO_SERVICE}/Echo"
_RESPONSE: Final = messages.message_class("gateway_api_conformance.echo_basic.grpcecho.EchoResponse")
_MOST: Final = 1 << 20  # maximum size of a response in bytes
_FAILED: Final = 500  # the status used here for a call that did not end with OK


class Grpc(Http2):
    """One connection, with any number of simultaneous calls."""

    def _asking(self, request: Request) -> tuple[tuple[tuple[str, str], ...], bytes]:
        delay = request.patience - TIMEOUT
        fields = (
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", self.host),
            (":path", _METHOD),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("x-request-id", request.id),
            ("x-echo-delay", f"{delay:g}s"),
            ("x-load-method", request.method),
            ("x-load-target", request.target),
            ("x-load-length", str(len(request.body))),
            ("x-load-sha256", hashlib.sha256(request.body).hexdigest()),
        )
        return fields, encode_message(b"")

    def _take_trailers(self, stream: Stream, fields: dict[str, str]) -> bool:
        stream.trailers = fields
        return True

    def _answered(self, stream: Stream) -> Answer:
        told_id = stream.head.get("x-request-id", "")
        if stream.trailers.get("grpc-status") != "0":
            return Answer(_FAILED, told_id, str(stream.trailers or stream.head).encode())
        told = _read(bytes(stream.body)).assertions
        if told.fully_qualified_method != _METHOD:
            raise ValueError(f"{_METHOD} arrived as {told.fully_qualified_method}")
        metadata = {each.key: each.value for each in told.headers}
        # The reflection's format, by which every kind is checked.
        reflection = {
            "id": metadata["x-request-id"],
            "method": metadata["x-load-method"],
            "path": metadata["x-load-target"],
            "proto": PROTOCOL,
            "body": {"length": int(metadata["x-load-length"]), "sha256": metadata["x-load-sha256"]},
            "pod": told.context.pod,
        }
        return Answer(int(stream.head[":status"]), told_id, msgspec.json.encode(reflection))


def _read(body: bytes) -> Any:
    """Parse the only message of a response. Raises `LookupError` if there is none, `ValueError` if it is invalid."""
    reader = MessageReader(b"identity", _MOST)
    try:
        reader.feed_body(body)
        reader.feed_eof()
        return messages.parse_message(_RESPONSE, reader.next_message())
    except CallError as error:
        raise ValueError(error.message) from error

"""The status of a call: code, message, and the trailers with both.

https://grpc.github.io/grpc/core/md_doc_statuscodes.html
"""

from enum import IntEnum
from typing import Final

from app.http.request import HeaderList


class StatusCode(IntEnum):
    """The status codes of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


CODES_BY_NAME: Final = {code.name: code for code in StatusCode} | {str(code.value): code for code in StatusCode}


class CallError(Exception):
    """An error that ends a call, with a status code and a message."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def status_trailers(code: StatusCode, message: str = "") -> HeaderList:
    """Return the trailers of a call with this status."""
    status = (b"grpc-status", b"%d" % code)
    return (status, (b"grpc-message", percent_encode(message))) if message else (status,)


def code_from_trailers(trailers: HeaderList) -> StatusCode:
    """Return the status code in trailers."""
    return StatusCode(int(dict(trailers)[b"grpc-status"]))


def percent_encode(message: str) -> bytes:
    """Encode a message for `grpc-message`: UTF-8, with `%` and bytes other than printable ASCII percent-encoded.

    https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses
    """
    raw = message.encode("utf-8", "backslashreplace")
    return b"".join(b"%c" % byte if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in raw)  # noqa: PLR2004 - the grammar's

"""How a call ends: a code, a sentence, and the trailers that carry both.

https://grpc.github.io/grpc/core/md_doc_statuscodes.html
"""

from enum import IntEnum
from typing import Final

from app.http.request import Fields


class Code(IntEnum):
    """The codes that there are."""

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


BY_NAME: Final = {code.name: code for code in Code} | {str(code.value): code for code in Code}


class CallError(Exception):
    """Why a call ends without what it was made for."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def trailers(code: Code, message: str = "") -> Fields:
    """Give the trailers of a call that ends so."""
    status = (b"grpc-status", b"%d" % code)
    return (status, (b"grpc-message", encoded(message))) if message else (status,)


def code_of(trailers: Fields) -> Code:
    """Give the code that trailers tell."""
    return Code(int(dict(trailers)[b"grpc-status"]))


def encoded(message: str) -> bytes:
    """Give a message as a field has it: its UTF-8, without what is not visible, and `%`, percent-encoded.

    https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses
    """
    raw = message.encode("utf-8", "backslashreplace")
    return b"".join(b"%c" % byte if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in raw)  # noqa: PLR2004 - the grammar's

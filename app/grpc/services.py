"""The available gRPC services: one row for each method."""

from enum import Enum, auto
from typing import Final, NamedTuple

from app.grpc import echo, health, reflection
from app.grpc.context import MethodHandler
from app.grpc.status import CallError, StatusCode
from app.http.request import decode_lossless
from app.http.text import shorten

UNKNOWN_METHOD: Final = "other"
_MAX_PATH_TEXT: Final = 200  # maximum characters of a path in an error message


class MethodKind(Enum):
    """The kind of a method: the messages of its request and response."""

    UNARY = auto()  # one request message, one response message
    SERVER_STREAMING = auto()  # one request message; a response message at once, and one when the server stops
    BIDI_STREAMING = auto()  # any number of request messages, one response message for each


class Method(NamedTuple):
    """One method. If it `has_controls`, the controls in metadata are applied."""

    handler: MethodHandler
    kind: MethodKind = MethodKind.UNARY
    has_controls: bool = False


ECHO_SERVICE: Final = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho"
METHODS: Final = {
    f"/{ECHO_SERVICE}/Echo": Method(echo.echo, has_controls=True),
    f"/{ECHO_SERVICE}/EchoTwo": Method(echo.echo, has_controls=True),
    f"/{ECHO_SERVICE}/EchoThree": Method(echo.unimplemented, has_controls=True),
    "/grpc.health.v1.Health/Check": Method(health.check),
    "/grpc.health.v1.Health/Watch": Method(health.watch, MethodKind.SERVER_STREAMING),
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Method(reflection.reflect, MethodKind.BIDI_STREAMING),
}
SERVICES: Final = tuple(sorted({path.split("/")[1] for path in METHODS}))


def method_name(path: bytes) -> str:
    """Return the full name of a method for logs and metrics; `other` for every unknown one."""
    text = path.decode("latin-1")
    return text[1:] if text in METHODS else UNKNOWN_METHOD


def find_method(path: bytes, redacted_path: bytes) -> Method:
    """Return the method of a path.

    Raise `CallError` if it is unknown, with the available methods and the redacted path `redacted_path`.
    """
    known_method = METHODS.get(path.decode("latin-1"))
    if known_method is None:
        path_text = shorten(decode_lossless(redacted_path), _MAX_PATH_TEXT)
        raise CallError(StatusCode.UNIMPLEMENTED, f"unknown method {path_text}; available: {', '.join(METHODS)}")
    return known_method

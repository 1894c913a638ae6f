"""The available gRPC services: one row for each method."""

from enum import Enum, auto
from typing import Final, NamedTuple

from app.grpc import echo, health, reflection
from app.grpc.context import Answer
from app.grpc.status import CallError, Code
from app.http.request import shown
from app.http.text import shortened

OTHER: Final = "other"
_LONGEST: Final = 200  # maximum characters of a path in an error message


class Kind(Enum):
    """The kind of a method: the messages of its request and response."""

    UNARY = auto()  # one request message, one response message
    WATCH = auto()  # one request message; a response message at once, and one when the server stops
    DIALOGUE = auto()  # any number of request messages, one response message for each


class Method(NamedTuple):
    """One method. If it is `controlled`, the controls in metadata are applied."""

    answer: Answer
    kind: Kind = Kind.UNARY
    controlled: bool = False


ECHO: Final = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho"
METHODS: Final = {
    f"/{ECHO}/Echo": Method(echo.echo, controlled=True),
    f"/{ECHO}/EchoTwo": Method(echo.echo, controlled=True),
    f"/{ECHO}/EchoThree": Method(echo.unimplemented, controlled=True),
    "/grpc.health.v1.Health/Check": Method(health.check),
    "/grpc.health.v1.Health/Watch": Method(health.watch, Kind.WATCH),
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Method(reflection.reflect, Kind.DIALOGUE),
}
SERVICES: Final = tuple(sorted({path.split("/")[1] for path in METHODS}))


def name_of(path: bytes) -> str:
    """Return the full name of a method for logs and metrics; `other` for every unknown one."""
    text = path.decode("latin-1")
    return text[1:] if text in METHODS else OTHER


def method(path: bytes, told: bytes) -> Method:
    """Return the method of a path.

    Raise `CallError` if it is unknown, with the available methods and the redacted path `told`.
    """
    found = METHODS.get(path.decode("latin-1"))
    if found is None:
        named = shortened(shown(told), _LONGEST)
        raise CallError(Code.UNIMPLEMENTED, f"unknown method {named}; available: {', '.join(METHODS)}")
    return found

"""The services that there are: a row for each method."""

from enum import Enum, auto
from typing import Final, NamedTuple

from app.grpc import echo, health, reflection
from app.grpc.context import Answer
from app.grpc.status import CallError, Code
from app.http.request import shown
from app.http.text import shortened

OTHER: Final = "other"
_LONGEST: Final = 200  # characters of a path that are shown


class Kind(Enum):
    """What a method's request and answer are made of."""

    UNARY = auto()  # one message, and one
    WATCH = auto()  # one message; one at once, and one when the server stops
    DIALOGUE = auto()  # any number, and one for each


class Method(NamedTuple):
    """One method. One that is `controlled` does what metadata asks for."""

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
    """Give a method's full name, as it is told: of one that there is not, a word for all of them."""
    text = path.decode("latin-1")
    return text[1:] if text in METHODS else OTHER


def method(path: bytes, told: bytes) -> Method:
    """Give the method of a path. Raises `CallError`, which says what there is, and the path as it may be `told`."""
    found = METHODS.get(path.decode("latin-1"))
    if found is None:
        named = shortened(shown(told), _LONGEST)
        raise CallError(Code.UNIMPLEMENTED, f"unknown method {named}; available: {', '.join(METHODS)}")
    return found

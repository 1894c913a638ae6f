"""Requests of the load, and the checks of their responses.

Each request has an id and a body, and both must be reflected.
"""

import hashlib
import itertools
import os
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

TIMEOUT: Final = 10  # seconds for a connection, and for a response after the requested delay
# Body sizes in bytes, with their share in per cent: most are small, a few need several frames.
SIZES: Final = {1: 20, 200: 60, 2_000: 18, 20_000: 2}
_SHOWN: Final = 200  # bytes of unexpected data that are reported


class Fault(StrEnum):
    """The kinds of losses of a request."""

    UNREACHED = "no connection"
    CLOSED = "closed without an answer"
    RESET = "reset"
    CUT = "cut off within the answer"
    TIMED_OUT = "timed out"
    FAILED = "failed"
    BROKEN = "not HTTP"
    TWICE = "answered twice"
    ANOTHER = "answered to another"
    CHANGED = "changed"


class LostError(Exception):
    """A request was lost, with the kind of loss and the details."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault


class Again(StrEnum):
    """The reasons to send a request again, if HTTP itself says that it was not processed.

    A closed HTTP/1.1 connection says so only if the request is idempotent and no byte of a response has arrived (RFC
    9112, 9.3.1). The server closed an idle connection while the request was in transit. No server can rule that out;
    one that sends `Connection: close` to active clients limits it to idle ones (9.6). HTTP/2 is unambiguous: streams
    above GOAWAY's last, and refused ones, were not processed (RFC 9113, 8.7).
    """

    CLOSED_WHILE_IDLE = "closed while idle"
    REFUSED = "refused"
    ABOVE_THE_LAST = "above the last that the server answers"
    UNSENT = "not yet sent when the connection was to end"


class AgainError(Exception):
    """A request was not processed, and may be sent again, with the reason and the details."""

    def __init__(self, why: Again, detail: str) -> None:
        super().__init__(f"{why}: {detail}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Request:
    """A unique request; `patience` is the timeout of its response in seconds."""

    id: str
    method: str
    target: str
    body: bytes = field(repr=False)
    patience: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: status, id from its headers, body."""

    status: int
    id: str
    body: bytes


class _Body(msgspec.Struct, frozen=True):
    length: int
    sha256: str


class Reflection(msgspec.Struct, frozen=True):
    """The values of a reflection that the load checks."""

    id: str
    method: str
    path: str
    proto: str
    body: _Body
    version: str = ""  # gRPC has none
    pod: str | None = None


_numbers = itertools.count()
_prefix = os.urandom(8).hex()
_reflections = msgspec.json.Decoder(Reflection)


def new_request(method: str, delay: float = 0) -> Request:
    """Return a new request, whose response is delayed by so many seconds."""
    number = f"{_prefix}-{next(_numbers)}"
    (size,) = random.choices(list(SIZES), list(SIZES.values()))  # noqa: S311 - no secret
    target = f"/load/{number}?echo_pretty=0" + (f"&echo_delay={delay}s" if delay else "")
    return Request(number, method, target, os.urandom(size), TIMEOUT + delay)


def judged(request: Request, answer: Answer, protocol: str) -> Reflection:
    """Check a response, and return its reflection. Raises `LostError`."""
    if answer.status != 200:
        raise LostError(Fault.FAILED, f"status {answer.status}: {answer.body[:_SHOWN]!r}")
    try:
        reflection = _reflections.decode(answer.body)
    except msgspec.MsgspecError as error:
        raise LostError(Fault.CHANGED, f"no reflection ({error}): {answer.body[:_SHOWN]!r}") from error
    if (answer.id, reflection.id) != (request.id, request.id):
        raise LostError(Fault.ANOTHER, f"{request.id} got the answer to {answer.id!r}, {reflection.id!r}")
    sent = (request.method, request.target, protocol, len(request.body), hashlib.sha256(request.body).hexdigest())
    seen = reflection.body
    arrived = (reflection.method, reflection.path, reflection.proto, seen.length, seen.sha256)
    if sent != arrived:
        raise LostError(Fault.CHANGED, f"{sent} arrived as {arrived}")
    return reflection

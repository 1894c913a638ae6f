"""What is asked, and how an answer is judged: each request has an id and a body, and both must come back."""

import hashlib
import itertools
import os
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

TIMEOUT: Final = 10  # seconds for a connection, and for an answer beyond the delay that was asked for
# Bytes of a body, and how many in a hundred requests have so many: most are small, a few take several frames.
SIZES: Final = {1: 20, 200: 60, 2_000: 18, 20_000: 2}
_SHOWN: Final = 200  # bytes of what came that are told of


class Fault(StrEnum):
    """How a request may be lost."""

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
    """A request is lost: how, and what was seen of it."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault


class Again(StrEnum):
    """Why a request may be sent again by a client that is right: HTTP itself says that nothing was done with it.

    A closed HTTP/1.1 connection does so only where the request is idempotent and no byte of an answer has come (RFC
    9112, 9.3.1): the server closed an idle connection while the request was on its way. No server can rule that out;
    one that says `Connection: close` to who asks often lets it happen only to who is idle (9.6).
    HTTP/2 leaves no doubt: streams above GOAWAY's last, and refused ones, were not processed (RFC 9113, 8.7).
    """

    CLOSED_WHILE_IDLE = "closed while idle"
    REFUSED = "refused"
    ABOVE_THE_LAST = "above the last that the server answers"
    UNSENT = "not yet sent when the connection was to end"


class AgainError(Exception):
    """A request was not processed, and may be sent again: why, and what was seen of it."""

    def __init__(self, why: Again, detail: str) -> None:
        super().__init__(f"{why}: {detail}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Request:
    """A request that nobody else makes; `patience` is for how many seconds its answer is waited for."""

    id: str
    method: str
    target: str
    body: bytes = field(repr=False)
    patience: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the id in its head, its body."""

    status: int
    id: str
    body: bytes


class _Body(msgspec.Struct, frozen=True):
    length: int
    sha256: str


class Reflection(msgspec.Struct, frozen=True):
    """What the load looks at in a reflection."""

    id: str
    method: str
    path: str
    proto: str
    body: _Body
    version: str = ""  # that of gRPC has none
    pod: str | None = None


_numbers = itertools.count()
_prefix = os.urandom(8).hex()
_reflections = msgspec.json.Decoder(Reflection)


def new_request(method: str, delay: float = 0) -> Request:
    """Make a request, whose answer shall be held back for so many seconds."""
    number = f"{_prefix}-{next(_numbers)}"
    (size,) = random.choices(list(SIZES), list(SIZES.values()))  # noqa: S311 - no secret
    target = f"/load/{number}?echo_pretty=0" + (f"&echo_delay={delay}s" if delay else "")
    return Request(number, method, target, os.urandom(size), TIMEOUT + delay)


def judged(request: Request, answer: Answer, protocol: str) -> Reflection:
    """Give the reflection in an answer that is right. Raises `LostError`."""
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

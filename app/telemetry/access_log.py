"""The access log: a line for each request, in JSON, or in the common log format. It shows no value that is hidden."""

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeVar

import msgspec

from app.answered import Answered
from app.applied import NOTHING, Applied, Granted, Refused
from app.context import About, Policy, time_of
from app.excerpts import shortened
from app.names import canonical
from app.provenance.client import client_of
from app.provenance.trace import trace_of
from app.redaction import MASK
from app.telemetry.families import METHODS, REFUSAL
from app.telemetry.lines import LONGEST
from app.wire import WireRequest, shown

_TARGET: Final = 1024  # characters of a request target that are shown; fewer where a line would be too long
_SHORT: Final = 64
_ID: Final = b"x-request-id"
_PATH: Final = b":path"
# The fields that a line is made of.
_CLIENT_FIELDS: Final = frozenset((b"x-forwarded-for", b"forwarded", b"x-real-ip"))
_TRACE_FIELDS: Final = frozenset((b"traceparent", b"b3", b"x-b3-traceid", b"x-b3-spanid"))
_CONTROL: Final = "x-echo-"
# What a terminal might obey, or a reader take for the end of a line: also beyond ASCII (C1, U+2028).
_NOT_PLAIN: Final = re.compile(r"[^ -~]")


_Wish = TypeVar("_Wish", Granted, Refused)


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of JSON: names of its own where there is no standard one."""

    time: str
    client: str
    method: str
    target: str
    protocol: str
    status: int
    bytes: int
    received: int
    duration: float
    format: str
    id: str = ""
    trace_id: str = ""
    applied: Applied = NOTHING
    error: str = ""
    whole: bool = True


class AccessLog:
    """Gives lines, of one kind, without the values of the fields that nobody may see."""

    def __init__(self, kind: str, policy: Policy, wall: Callable[[], float] = time.time) -> None:
        self.line: Callable[[Answered], bytes] = self._json if kind == "json" else self._common
        """Gives the line of a request, with its end, of at most `LONGEST` bytes."""
        self._policy = policy
        self._wall = wall
        self._hidden = policy.unlogged
        self._trace_fields = _TRACE_FIELDS - self._hidden
        self._client_fields = _CLIENT_FIELDS - self._hidden if policy.trusted else frozenset()

    def _json(self, answered: Answered) -> bytes:
        request = answered.request
        about = answered.about if isinstance(answered.about, About) else None
        line = _Line(
            time_of(about.now if about else self._wall()),
            self._client(answered),
            _method(request),
            self._target(request),
            answered.protocol or request.version,
            int(answered.status[:3]),
            answered.sent,
            answered.received,
            round(answered.seconds, 6),
            about.form if about else REFUSAL,
            self._id(about) if about else "",
            self._trace_id(request),
            self._applied(about.applied) if about and about.applied is not NOTHING else NOTHING,
            answered.why,
            answered.whole,
        )
        text = _plain(line)
        if len(text) >= LONGEST:
            target, error = shortened(line.target, _SHORT), shortened(line.error, _SHORT)
            text = _plain(msgspec.structs.replace(line, target=target, error=error, applied=NOTHING))
        return text + b"\n"

    def _common(self, answered: Answered) -> bytes:
        """Give a line of the common log format. https://httpd.apache.org/docs/current/logs.html#common."""
        request = answered.request
        about = answered.about if isinstance(answered.about, About) else None
        asked = "-"
        if request.target:
            target = _escaped(self._target(request))
            target = shortened(target, 2 * _TARGET)  # a character may have become twelve
            asked = f"{_escaped(_method(request))} {target} {request.version}"
        when = _clf_time(int(about.now if about else self._wall()))
        size = answered.sent or "-"
        client = _escaped(self._client(answered)).replace(" ", "_") or "-"
        line = f'{client} - - [{when}] "{asked}" {answered.status[:3]} {size}\n'
        return line.encode("ascii")

    def _target(self, request: WireRequest) -> str:
        return MASK if _PATH in self._hidden else shortened(shown(request.target), _TARGET)

    def _id(self, about: About) -> str:
        return MASK if _ID in self._hidden else about.id

    def _client(self, answered: Answered) -> str:
        """Give the address of who is believed to have sent it."""
        address = answered.connection.client.address
        if self._client_fields:
            headers = _values(answered.request, self._client_fields)
            address = client_of(headers, answered.connection, self._policy.trusted).effective
        return shortened(address, _SHORT)

    def _trace_id(self, request: WireRequest) -> str:
        head = request.head.lower()  # one look through all, where there is one: most requests have none of these
        if head and b"traceparent" not in head and b"b3" not in head:
            return ""
        headers = _values(request, self._trace_fields)
        trace = trace_of(headers) if headers else None
        if not trace:
            return ""
        found = trace.traceparent or trace.b3
        return (found.trace_id or "") if found else ""

    def _applied(self, applied: Applied) -> Applied:
        """Give what was asked for, without the values that came in fields that are hidden."""
        return Applied(tuple(map(self._shown, applied.granted)), tuple(map(self._shown, applied.refused)))

    def _shown(self, wish: _Wish) -> _Wish:
        names = (f"{_CONTROL}{wish.name}", f"{_CONTROL}{wish.name.replace('_', '-')}")
        hidden = wish.source == "header" and any(name.encode() in self._hidden for name in names)
        return msgspec.structs.replace(wish, value=MASK) if hidden else wish


def _method(request: WireRequest) -> str:
    return METHODS.get(request.method) or shortened(shown(request.method))


def _values(request: WireRequest, names: frozenset[bytes]) -> dict[str, list[str]]:
    """Give the values of the fields of these names, as they are shown, by canonical name."""
    found: dict[str, list[str]] = {}
    for name, value in request.fields:
        if name.lower() in names:
            found.setdefault(canonical(name), []).append(shown(value))
    return found


def _plain(line: _Line) -> bytes:
    """Give a line as JSON of printable ASCII."""
    data = _encode(line)
    if data.isascii() and b"\x7f" not in data:  # JSON itself lets no other control character be
        return data
    text = data.decode()
    return _NOT_PLAIN.sub(lambda found: json.dumps(found[0])[1:-1].replace("\x7f", r"\u007f"), text).encode("ascii")


_encode: Final = msgspec.json.Encoder().encode

# Apache's way: what a terminal would obey as \xHH of its UTF-8.
_QUOTES: Final[Mapping[str, str]] = {'"': r"\"", "\\": r"\\"}
_NOT_IN_QUOTES: Final = re.compile(r'[^ -~]|["\\]')


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text

    def escape(found: re.Match[str]) -> str:
        return _QUOTES.get(found[0]) or "".join(f"\\x{byte:02x}" for byte in found[0].encode())

    return _NOT_IN_QUOTES.sub(escape, text)


@lru_cache(maxsize=2)
def _clf_time(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")

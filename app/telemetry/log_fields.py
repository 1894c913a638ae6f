"""What may be told of a request, by a log or a trace: nothing that is made of a field that ECHO_REDACT names."""

import re
from typing import Final, TypeVar

from msgspec import UNSET, UnsetType, structs

from app.config.policy import Policy
from app.http.controls_report import Applied, Granted, Refused
from app.http.headers.client_address import client_of
from app.http.headers.names import canonical
from app.http.headers.trace_context import Trace, trace_of
from app.http.record import About, Answered
from app.http.redaction import MASK
from app.http.request import WireRequest, shown
from app.http.text import shortened
from app.telemetry.metrics import METHODS

TARGET: Final = 1024  # characters of a request target that are told
_ADDRESS: Final = 64
_ID: Final = b"x-request-id"
_PATH: Final = b":path"
_AUTHORITY: Final = frozenset((b":authority", b"host"))  # are one (RFC 9113, 8.3.1)
# The fields whose values a refusal quotes; and a line that is none of HTTP may hold each of the pseudo-fields.
_QUOTED: Final = _AUTHORITY | {_PATH, b":method", b":scheme", b"content-length", b"te"}
_QUOTED_OF: Final = b"sec-websocket-"
# The fields of which something is made.
_CLIENT_FIELDS: Final = frozenset((b"x-forwarded-for", b"forwarded", b"x-real-ip"))
_TRACE_FIELDS: Final = frozenset((b"traceparent",))
# The first letter is spelled in both cases: a search that ignores case from the start looks at each byte.
_MAY_TELL_TRACE: Final = re.compile(rb"\n[tT](?i:raceparent)").search
_CONTROL: Final = "x-echo-"

_Wish = TypeVar("_Wish", Granted, Refused)


class Facts:
    """Gives the facts of requests, as a policy lets them be told."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._hidden = policy.unlogged
        self._tells_path = _PATH not in self._hidden
        self._tells_authority = not _AUTHORITY & self._hidden
        self._tells_id = _ID not in self._hidden
        self._quotes = not any(name in _QUOTED or name.startswith(_QUOTED_OF) for name in self._hidden)
        self._trace_fields = _TRACE_FIELDS - self._hidden
        self._client_fields = _CLIENT_FIELDS - self._hidden if policy.trusted else frozenset()

    def hides(self, name: bytes) -> bool:
        """Tell whether a field (in lower case) is one whose value nobody may see."""
        return name in self._hidden

    def target(self, request: WireRequest) -> str:
        """Give the request target, as it is shown, its beginning if it is long."""
        # Of a CONNECT of HTTP/2, `:authority` is the target.
        if self._tells_path and (self._tells_authority or not request.authority or request.target != request.authority):
            target = shown(request.target)
            return target if len(target) <= TARGET else shortened(target, TARGET)
        return MASK

    def why(self, answered: Answered) -> str:
        """Give why a request was refused, without what is quoted of it where that may be what nobody may see."""
        sentence, colon, _ = answered.why.partition(": ")
        return answered.why if self._quotes or not colon else f"{sentence}: {MASK}"

    def id(self, about: About) -> str:
        """Give the request's id."""
        return about.id if self._tells_id else MASK

    def client(self, answered: Answered) -> str:
        """Give the address of who is believed to have sent it."""
        address = answered.connection.client.address
        if self._client_fields:
            headers = _values(answered.request, self._client_fields)
            address = client_of(headers, answered.connection, self._policy.trusted).effective
        return address if len(address) <= _ADDRESS else shortened(address, _ADDRESS)

    def trace(self, request: WireRequest) -> Trace | UnsetType:
        """Return the parsed traceparent of the request."""
        if request.head and not _MAY_TELL_TRACE(request.head):  # most requests
            return UNSET
        headers = _values(request, self._trace_fields)
        return trace_of(headers) if headers else UNSET

    def applied(self, applied: Applied) -> Applied:
        """Give what was asked for."""
        return Applied(tuple(map(self._wish, applied.granted)), tuple(map(self._wish, applied.refused)))

    def _wish(self, wish: _Wish) -> _Wish:
        names = (f"{_CONTROL}{wish.name}", f"{_CONTROL}{wish.name.replace('_', '-')}")
        sources = [name.encode() for name in names] if wish.source == "header" else [_PATH]
        hidden = any(name in self._hidden for name in sources)
        return structs.replace(wish, value=MASK) if hidden else wish


def method(request: WireRequest) -> str:
    """Give the method, as it is shown, its beginning if it is long."""
    return METHODS.get(request.method) or shortened(shown(request.method))


def about_of(answered: Answered) -> About | None:
    """Give what the application tells of an answer, None where it was not asked."""
    return answered.about if isinstance(answered.about, About) else None


def _values(request: WireRequest, names: frozenset[bytes]) -> dict[str, list[str]]:
    """Give the values of the fields of these names, as they are shown, by canonical name."""
    found: dict[str, list[str]] = {}
    for name, value in request.fields:
        if name.lower() in names:
            found.setdefault(canonical(name), []).append(shown(value))
    return found

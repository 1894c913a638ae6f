"""Redacted request data for logs and traces.

Nothing here is derived from a header in ECHO_REDACT.
"""

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

TARGET: Final = 1024  # maximum characters of a logged request target
_ADDRESS: Final = 64
_ID: Final = b"x-request-id"
_PATH: Final = b":path"
_AUTHORITY: Final = frozenset((b":authority", b"host"))  # the same header (RFC 9113, 8.3.1)
# Headers whose values a rejection reason quotes; it may also quote a line that is not HTTP, which may hold the value of
# any pseudo-header.
_QUOTED: Final = _AUTHORITY | {_PATH, b":method", b":scheme", b"content-length", b"te"}
_QUOTED_OF: Final = b"sec-websocket-"
# Headers that other values are derived from.
_CLIENT_FIELDS: Final = frozenset((b"x-forwarded-for", b"forwarded", b"x-real-ip"))
_TRACE_FIELDS: Final = frozenset((b"traceparent",))
# The first letter is matched in both cases: a search that ignores case from the start examines each byte.
_MAY_TELL_TRACE: Final = re.compile(rb"\n[tT](?i:raceparent)").search
_CONTROL: Final = "x-echo-"

_Wish = TypeVar("_Wish", Granted, Refused)


class Facts:
    """Redacted data of requests, as the policy allows."""

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
        """Return whether a header (in lower case) is redacted."""
        return name in self._hidden

    def target(self, request: WireRequest) -> str:
        """Return the request target as lossless text, shortened if it is long."""
        # The target of an HTTP/2 CONNECT is `:authority`.
        if self._tells_path and (self._tells_authority or not request.authority or request.target != request.authority):
            target = shown(request.target)
            return target if len(target) <= TARGET else shortened(target, TARGET)
        return MASK

    def why(self, answered: Answered) -> str:
        """Return the reason of a rejection, without the text it quotes if that may be a redacted value."""
        sentence, colon, _ = answered.why.partition(": ")
        return answered.why if self._quotes or not colon else f"{sentence}: {MASK}"

    def id(self, about: About) -> str:
        """Return the request id."""
        return about.id if self._tells_id else MASK

    def client(self, answered: Answered) -> str:
        """Return the address of the client, according to the headers of trusted proxies if there are any."""
        address = answered.connection.client.address
        if self._client_fields:
            headers = _values(answered.request, self._client_fields)
            address = client_of(headers, answered.connection, self._policy.trusted).effective
        return address if len(address) <= _ADDRESS else shortened(address, _ADDRESS)

    def trace(self, request: WireRequest) -> Trace | UnsetType:
        """Return the parsed traceparent of the request; `UNSET` if there is none, or if it is redacted."""
        if request.head and not _MAY_TELL_TRACE(request.head):  # most requests
            return UNSET
        headers = _values(request, self._trace_fields)
        return trace_of(headers) if headers else UNSET

    def applied(self, applied: Applied) -> Applied:
        """Return the controls report with redacted values."""
        return Applied(tuple(map(self._wish, applied.granted)), tuple(map(self._wish, applied.refused)))

    def _wish(self, wish: _Wish) -> _Wish:
        names = (f"{_CONTROL}{wish.name}", f"{_CONTROL}{wish.name.replace('_', '-')}")
        sources = [name.encode() for name in names] if wish.source == "header" else [_PATH]
        hidden = any(name in self._hidden for name in sources)
        return structs.replace(wish, value=MASK) if hidden else wish


def method(request: WireRequest) -> str:
    """Return the method as lossless text, shortened if it is long."""
    return METHODS.get(request.method) or shortened(shown(request.method))


def about_of(answered: Answered) -> About | None:
    """Return the application's information about a response, or None if the application was not called."""
    return answered.about if isinstance(answered.about, About) else None


def _values(request: WireRequest, names: frozenset[bytes]) -> dict[str, list[str]]:
    """Return the values of these headers as lossless text, by canonical name."""
    found: dict[str, list[str]] = {}
    for name, value in request.fields:
        if name.lower() in names:
            found.setdefault(canonical(name), []).append(shown(value))
    return found

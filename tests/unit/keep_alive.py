"""Requests on one persistent connection, and an application for them.

The requests are built as bytes on the wire. The application's responses identify the request that they belong to.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from app.http.request import REQUEST_KEY, RESPONSE_OPTIONS_KEY, Environ, ResponseOptions

DELAY: Final = 3.0  # seconds before a response to `/late/N` begins
INTERVAL: Final = 1.0  # seconds between the pieces of a response to `/slow/N`
PIECES: Final = 3
_EFFECTS: Final = {
    "late": ResponseOptions(delay=DELAY),
    "slow": ResponseOptions(is_streamed=True, interval=INTERVAL),
    "now": None,
}


class Sent(NamedTuple):
    """One request: what identifies it, and its bytes. `closes`: it asks for the connection to be closed."""

    number: int
    method: str
    kind: str
    body: bytes
    closes: bool
    head: bytes
    framed: bytes  # its body on the wire, after framing

    @property
    def wire(self) -> bytes:
        """Return the whole request as bytes."""
        return self.head + self.framed

    @property
    def answer(self) -> bytes:
        """Return the expected body of the response to it."""
        told = b"%d %b|" % (self.number, self.body)
        return b"" if self.method == "HEAD" else told * (PIECES if self.kind == "slow" else 1)


class Numbered:
    """An application that responds with number and body of each request: at once, delayed, or piece by piece."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = environ[REQUEST_KEY]
        _, kind, number = request.target.decode().split("/")
        self.asked.append(int(number))
        effects = _EFFECTS[kind]
        if effects is not None:
            environ[RESPONSE_OPTIONS_KEY] = effects
        start_response("200 OK", [])
        return _pieces(b"%b %b|" % (number.encode(), request.body.prefix), PIECES if kind == "slow" else 1)


def _pieces(piece: bytes, times: int) -> Iterator[bytes]:
    return (piece for _ in range(times))


@st.composite
def requests(draw: st.DrawFn, number: int) -> Sent:
    """Return a request with this number, of any kind, version and framing."""
    method = draw(st.sampled_from(["GET", "GET", "HEAD", "DELETE"]))
    kind = draw(st.sampled_from(["now", "now", "now", "late", "slow"]))
    version, option = draw(
        st.sampled_from([("1.1", ""), ("1.1", ""), ("1.1", ""), ("1.1", "close"), ("1.0", "keep-alive"), ("1.0", "")])
    )
    fields = ["Host: a"] + ([f"Connection: {option}"] if option else [])
    chunks = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=3))
    body = framed = b"".join(chunks)
    if version == "1.1" and draw(st.booleans()):
        fields.append("Transfer-Encoding: chunked")
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    elif body:
        fields.append(f"Content-Length: {len(body)}")
    if framed and version == "1.1" and draw(st.booleans()):
        fields.append("Expect: 100-continue")
    head = "\r\n".join([f"{method} /{kind}/{number} HTTP/{version}", *fields, "", ""]).encode()
    # HTTP/1.0 has no framing for a response of unknown length: it ends with the connection (RFC 9112, 6.3).
    endless = version == "1.0" and kind == "slow" and method != "HEAD"
    closes = option == "close" or (version == "1.0" and option != "keep-alive") or endless
    return Sent(number, method, kind, body, closes, head, framed)

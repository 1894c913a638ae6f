"""The same bytes through the carrier and through gunicorn's own way of WSGI are answered in the same way.

What only the carrier can show, the wire, is kept out of what is sent: names are as CGI gives them back, targets are
encoded in one way, and nothing comes twice.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import quote, quote_from_bytes

from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from app.config import downward_api, policy
from app.config.settings import Settings
from app.echo import routes
from app.echo.controls.definitions import FORMAT_NAMES
from app.echo.handler import Echo
from app.http.request import Application
from app.server.limits import Limits
from tests.requests import VALUE
from tests.unit.planned import seen
from tests.unit.served import Served

_SETTINGS: Final = Settings(allow_cookie="on", seed="1")
_POLICY: Final = policy.read(_SETTINGS, downward_api.read({"POD_NAME": "echo-1"}))
_CLIENT: Final = ("192.0.2.1", 1234)
_OWN_END: Final = ("", 0)  # the transport of the tests has none
_LONGER_THAN_ANY: Final = 100.0  # seconds: no delay and no drip that is asked for here takes as long
# What the two servers say for themselves, and what says how the body is framed.
_OF_THE_SERVER: Final = frozenset(["connection", "content-length", "date", "server", "transfer-encoding"])
_ID: Final = re.compile(r"[0-9a-f]{32}")  # one that the echo has made

_FORMATS: Final = st.sampled_from([name for name in FORMAT_NAMES if name != "events"])
# All but what a server that has only bytes can't do: an abort; and events, which end by the clock.
_CONTROLS: Final = st.one_of(
    st.tuples(st.just("format"), _FORMATS),
    st.tuples(
        st.sampled_from(["status", "code"]), st.sampled_from(["204", "205", "304", "404", "599", "500:1,200:1", "600"])
    ),
    st.tuples(st.sampled_from(["delay", "drip"]), st.sampled_from(["1s", "0", "61s", "x"])),
    st.tuples(st.just("header"), st.sampled_from(["X-A:b", "x-a: c", "Connection:close", "X-\u00fc:1"])),
    st.tuples(st.just("cookie"), st.sampled_from(["a=b", "a"])),
    st.tuples(st.just("body"), st.text(max_size=5)),
    st.tuples(st.just("size"), st.sampled_from(["0", "10", "70kB", "-1"])),
    st.tuples(st.just("redirect"), st.sampled_from(["/there", "//there"])),
    st.tuples(st.just("fail_first"), st.sampled_from(["1", "0"])),
    st.tuples(st.just("compress"), st.sampled_from(["gzip", "br", "auto"])),
    st.tuples(st.just("pretty"), st.sampled_from(["0", "1"])),
    st.tuples(st.just("seed"), st.just("a")),
)
_MEDIA_TYPES: Final = st.sampled_from(
    ["*/*", "text/html", "text/html;q=0.5, application/json", "application/yaml", "text/plain", "image/png", ";"]
)
_FIELDS: Final = st.fixed_dictionaries(
    {},
    optional={
        b"Accept": _MEDIA_TYPES.map(str.encode),
        b"Accept-Encoding": st.sampled_from([b"gzip", b"br;q=0.1, zstd", b"identity;q=0"]),
        b"Authorization": st.sampled_from([b"Basic YTpi", b"Bearer x.y.z", b"Basic !"]),
        b"Cookie": st.sampled_from([b"a=b; c", b"=", b";;"]),
        b"Forwarded": st.sampled_from([b"for=192.0.2.7;proto=https", b'for="_x', b""]),
        b"Traceparent": st.just(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        b"X-Echo-Format": _FORMATS.map(str.encode),
        b"X-Echo-Status": st.sampled_from([b"404", b"x"]),
        b"X-Forwarded-For": st.sampled_from([b"192.0.2.7", b"192.0.2.7, x", b","]),
        b"X-One": VALUE,
        b"X-Request-Id": st.sampled_from([b"My-Id", b"not sane"]),
    },
)
_TYPES: Final = st.sampled_from([b"application/json", b"application/x-www-form-urlencoded", b"text/plain"])
_BODY: Final = st.one_of(st.binary(max_size=40), st.sampled_from([b'{"a": [1, null]}', b"a=b&c=%20", b'{"a":']))


class Answer(NamedTuple):
    """What a client sees of an answer: of its fields those that the echo sets, and an id of its own making as `id`."""

    status: int | None
    fields: list[tuple[str, str]]
    body: bytes


@st.composite
def asked(draw: st.DrawFn) -> bytes:
    """Give a request as bytes."""
    method = draw(st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"FOO"]))
    pairs = [(name, draw(st.text(max_size=3))) for name in draw(st.lists(st.sampled_from("abc"), max_size=2))]
    pairs += [(f"echo_{name}", value) for name, value in draw(st.lists(_CONTROLS, max_size=3))]
    target = "/" + quote_from_bytes(draw(st.binary(max_size=6)))
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    fields = {b"Host": b"echo.test"} | draw(_FIELDS)
    if "echo_compress" in query:  # an id of the echo's own making could not be told from the rest any more
        fields[b"X-Request-Id"] = b"My-Id"
    body = b""
    if method not in {b"GET", b"HEAD"} and draw(st.booleans()):
        body = draw(_BODY)
        fields |= {b"Content-Type": draw(_TYPES), b"Content-Length": b"%d" % len(body)}
    lines = b"".join(b"%b: %b\r\n" % field for field in fields.items())
    return (
        b"%b %b HTTP/1.1\r\n%b\r\n" % (method, f"{target}?{query}".encode() if query else target.encode(), lines) + body
    )


def _made() -> Application:
    """Give the application, with chance and memory as at its start, and a clock that stands still."""
    answers: Application = routes.echo(Echo(_SETTINGS, _POLICY, clock=lambda: 1_700_000_000.25))
    return answers


def by_carrier(wire: bytes) -> bytes:
    """Give the bytes of the carrier's answer, once all is sent that is to be."""
    served = Served(application=_made(), limits=Limits(head=65_536, fields=256, body=1 << 20))
    served.connection.data_received(wire)
    served.after(_LONGER_THAN_ANY)
    return served.transport.written


class Socket:
    """Remembers what is sent."""

    def __init__(self) -> None:
        self.sent = b""

    def sendall(self, data: bytes) -> None:
        self.sent += data


def by_gunicorn(wire: bytes) -> bytes:
    """Give the bytes of the answer of gunicorn's own parser, environ and writer, as its gthread worker uses them."""
    config, sock = Config(), Socket()
    request = next(RequestParser(config, [wire], _CLIENT))
    response, environ = wsgi.create(request, sock, _CLIENT, _OWN_END, config)
    pieces = _made()(environ, response.start_response)
    for piece in pieces:
        response.write(piece)
    response.close()
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
    return sock.sent


def told(wire: bytes, answer: bytes) -> Answer:
    """Read an answer, and leave out what the two can't have in common."""
    method = wire.partition(b" ")[0].decode()
    came = seen(answer, method, closed=True)
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    fields = sorted((name.lower(), value) for name, value in (line.split(": ", 1) for line in lines))
    made = next((value for name, value in fields if name == "x-request-id" and _ID.fullmatch(value)), "no id")
    fields = [(name, value.replace(made, "id")) for name, value in fields if name not in _OF_THE_SERVER]
    return Answer(came.status, fields, came.body.replace(made.encode(), b"id"))


@given(asked())
@settings(max_examples=100, deadline=None)
def test_what_the_carrier_answers_is_what_gunicorns_own_wsgi_answers(wire: bytes) -> None:
    """Status, every field that the echo sets, and the body."""
    assert told(wire, by_carrier(wire)) == told(wire, by_gunicorn(wire))

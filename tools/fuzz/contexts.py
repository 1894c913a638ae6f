"""The context of a request, built from bytes.

The bytes are parsed as the server does, and the context is the one that echo uses.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec import structs

from app.config import downward_api
from app.config.policy import Policy
from app.config.settings import Settings
from app.echo.context import Context
from app.echo.controls import parse
from app.http.body import BodyReader, parse_content_headers
from app.http.connection_info import Endpoint
from app.http.errors import ProtocolError
from app.http.networks import parse_networks
from app.http.request import ConnectionInfo, HttpRequest
from app.server.http1.events import RequestHead
from app.server.http1.parser import BodyData, RequestEnd, RequestParser
from app.server.limits import RequestLimits

LIMITS: Final = RequestLimits(head_size=16_384, header_count=64, body_size=65_536)
LONGEST: Final = 4096
TRUSTED: Final = parse_networks("192.0.2.0/24,2001:db8::/32")
POLICY: Final = Policy(
    downward_api.read_pod_info({"POD_NAME": "echo-1", "NAMESPACE": "shop", "NODE_NAME": "n1", "NODE_ZONE": "z1"}),
    trusted_proxies=TRUSTED,
    jwt_headers=frozenset({"x-token"}),
)
CONNECTION: Final = ConnectionInfo(Endpoint("192.0.2.1", 1234), Endpoint("192.0.2.2", 8080))
_SETTINGS: Final = Settings()
_BEGIN: Final = b"GET / HTTP/1.1\r\nHost: a\r\n"
_TOKEN: Final = b"eyJhbGciOiJub25lIn0.eyJzdWIiOiI8Yj4ifQ."
_TRACE: Final = b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"

# The headers that the reflection derives values from, each with a value that has many parts.
FIELDS: Final = (
    b'Forwarded: for="[2001:db8::1]:80";by=_x;proto=http, for=198.51.100.7',
    b"X-Forwarded-For: 198.51.100.7:80, ::1, 192.0.2.3, unknown",
    b"X-Real-IP: 198.51.100.7",
    b"X-Forwarded-Proto: https",
    b"Traceparent: " + _TRACE,
    b"Authorization: Basic YTpi",
    b"Authorization: Bearer " + _TOKEN,
    b"X-Token: " + _TOKEN,
    b"Cookie: a=b; c=<d>; =e; f",
    b"Content-Type: application/json",
    b"Content-Encoding: gzip",
    b"TE: trailers",
    b"X-Request-Id: a-1",
    b"Accept-Encoding: gzip",
)
WORDS: Final = (
    *FIELDS, *(b"\r\n" + line + b"\r\n" for line in FIELDS), _BEGIN, b"\r\n\r\n", b'Content-Length: 7\r\n\r\n{"a":1}',
    b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n", b"?a=b&c", b"%00", b"\\x41", b"\xff",
    b"\xe2\x80\xa8",    b"<script>", b"</pre>", b"&lt;", b"{{", b"\n% ", b"'", b'"', b"$(", b"`", b"--", b"@", b"!",
)  # fmt: skip


def seeds() -> Iterator[bytes]:
    """Yield requests with each of these headers, one with all of them, and some bodies."""
    for line in FIELDS:
        yield _BEGIN + line + b"\r\n\r\n"
    yield b"GET /a%20<b>?q=1&%ff HTTP/1.1\r\nHost: a.test:80\r\n" + b"\r\n".join(FIELDS[:-5]) + b"\r\n\r\n"
    for kind, body in (
        (b"application/json", b'{"a": [1, "<b>"]}'),
        (b"application/x-www-form-urlencoded", b"a=1&<b>=%27"),
        (
            b"multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="<n>"\r\n\r\nx\r\n--b--\r\n',
        ),
        (b"text/plain", "ü\u2028\n</pre>".encode()),
        (b"", b"\xff\0"),
    ):
        head = b"POST /\xfc?\\xff HTTP/1.1\r\nHost: a\r\nContent-Type: " + kind
        yield head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        chunk = b"%x\r\n%b\r\n0\r\nX-T: <t>\r\n\r\n" % (len(body), body)
        yield head.replace(b"/1.1", b"/1.1") + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
    yield b"GET /?echo_status=200&echo_nope=1&echo_delay=9h HTTP/1.0\r\n\r\n"
    yield b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"


def context_of(data: bytes) -> Context | None:
    """Return the context of the first request in these bytes, or None if there is none."""
    request = _request(data)
    if request is None:
        return None
    applied = parse.parse_controls(request, _SETTINGS).report
    return Context(request, CONNECTION, POLICY, "id-1", 1_700_000_000.25, applied)


@lru_cache(maxsize=1)
def _request(data: bytes) -> HttpRequest | None:
    reader = RequestParser(LIMITS)
    reader.feed(data)
    head, meter, end = None, BodyReader(), None
    try:
        for event in iter(reader.next_event, None):
            if isinstance(event, RequestHead):
                if event.has_no_body:
                    return event.request
                head, meter = event, BodyReader(parse_content_headers(event.request.headers), 1 << 20)
            elif isinstance(event, BodyData):
                meter.add_piece(event.piece)
                while meter.has_work:
                    meter.step()
            elif isinstance(event, RequestEnd):
                end = event
                break
    except ProtocolError:
        return None
    if head is None or end is None:
        return None
    return structs.replace(head.request, body=meter.finish(chunked=head.is_chunked), trailers=end.trailers)

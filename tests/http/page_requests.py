"""Requests for tests of the page: with everything, large, and hostile."""

from collections.abc import Iterable
from typing import Final

ACCEPT: Final = (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8")
# The downward API's values for the responding pod.
POD: Final = {
    "POD_NAME": "echo-7d9cf5b6c4-x2vkq",
    "NAMESPACE": "shop",
    "NODE_NAME": "worker-2",
    "POD_IP": "10.244.1.17",
    "NODE_ZONE": "eu-central-1a",
    "NODE_REGION": "eu-central-1",
    "SERVICE_ACCOUNT": "echo",
    "POD_LABELS": "app.kubernetes.io/name=echo",
}
EVIL: Final = (
    b"</pre></style></title><script>pwned=1</script><img src=x onerror=pwned=1><svg/onload=pwned=1>\"'><b onclick=a>"
)
ORDER: Final = b'{"item":"teapot","count":2,"note":"it\'s short and stout"}'
_TOKEN: Final = (
    b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsIm5hbWUiOiJBbGljZSIsImlhdCI6MTUxNjIzOTAyMn0.c2lnbmVk"
)


def _request(line: bytes, fields: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    head = b"\r\n".join((line + b" HTTP/1.1", *(b"%s: %s" % field for field in fields)))
    return head + b"\r\n\r\n" + body


EVERYTHING: Final = _request(
    b"POST /orders/42?expand=items&expand=total&echo_status=201&echo_delay=1ms&echo_nothing=1",
    (
        (b"Host", b"shop.example.org"),
        ACCEPT,
        (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
        (b"Content-Type", b"application/json"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Trailer", b"Checksum"),
        (b"Cookie", b"session=8f14e45fceea167a; theme=dark"),
        (b"X-Forwarded-For", b"203.0.113.7, 10.0.0.4"),
        (b"X-Forwarded-Proto", b"https"),
        (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        (b"Authorization", b"Bearer " + _TOKEN),
        (b"x_odd_name", b"kept"),
        (b"X-Twice", b"1"),
        (b"X-Twice", b"2"),
    ),
    b"%x\r\n%s\r\n0\r\nChecksum: abc\r\n\r\n" % (len(ORDER), ORDER),
)
LARGE: Final = _request(
    b"PUT /" + b"a-long-path/" * 200 + b"?" + b"a=b&" * 60,
    (
        (b"Host", b"a"),
        ACCEPT,
        *((b"X-Field-%d" % number, b"value" * (number % 30)) for number in range(200)),
        (b"X-Long", b"x" * 8000),
        (b"Forwarded", b"for=unknown, for=_hidden"),
        (b"Content-Length", b"4096"),
    ),
    bytes(range(256)) * 16,
)
HOSTILE: Final = _request(
    b"POST /" + EVIL.replace(b" ", b"%20") + b"?" + EVIL.replace(b" ", b"+"),
    (
        (b"Host", b"a"),
        ACCEPT,
        (b"X-A", EVIL),
        (b"Cookie", b"a=" + EVIL),
        (b"X-Forwarded-For", EVIL),
        (b"traceparent", EVIL),
        (b"X-Echo-Evil", EVIL),
        (b"Content-Length", b"%d" % len(EVIL)),
    ),
    EVIL,
)

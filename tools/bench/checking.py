"""Checks of responses, before, while and after a server is measured."""

import hashlib
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from tools.bench.asked import Request
from tools.bench.load import Way, over_http2, over_tls, url

# Returns what is wrong with the response body to a request, or an empty string.
Check = Callable[[Request, bytes], str]
Ask = Callable[[], str]

_PATIENCE = 60.0  # seconds for a response
_BETWEEN = 0.2  # seconds between two requests while load runs


def _any_certificate() -> ssl.SSLContext:
    # One context for each kind of client, because httpx stores in its own context that it speaks HTTP/2.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_OF_HTTP1, _OF_HTTP2 = _any_certificate(), _any_certificate()


def bare_line(_: Request, body: bytes) -> str:
    """Require our bare response, for the requested target."""
    return "" if body == b"<b>Got: blah/blah</b>!" else f"not the bare response: {body[:200]!r}"


def empty(_: Request, body: bytes) -> str:
    """Require an empty body."""
    return "" if not body else f"a body where none was expected: {body[:200]!r}"


def echoed(request: Request, body: bytes) -> str:
    """Require the request's own body."""
    return "" if body == request.body else f"not the body that was sent: {len(body)} bytes"


def raw(request: Request, body: bytes) -> str:
    """Require the request as it was on the wire."""
    missing = [value for _, value in request.fields if value.encode() not in body]
    return "" if body.startswith(request.method.encode()) and not missing else f"does not show {missing}"


def shown(request: Request, body: bytes) -> str:
    """Require JSON with every header that was sent, and the digest of the body or all of it."""
    try:
        told = json.loads(body)
    except ValueError:
        return f"not JSON: {body[:200]!r}"
    text = json.dumps(told["headers"])
    if missing := [value for _, value in request.fields if json.dumps(value)[1:-1] not in text]:
        return f"does not show {missing}"
    return "" if not request.body or _shows_body(request, told) else "does not show the body"


def _shows_body(request: Request, told: dict[str, object]) -> bool:
    match told:
        case {"body": {"sha256": digest, "length": length}}:
            return (digest, length) == (hashlib.sha256(request.body).hexdigest(), len(request.body))
        case {"data": str(data)}:
            return len(data) >= len(request.body)
    return False


def ask(port: int, target: str, request: Request, way: Way, check: Check) -> str:
    """Send one request to a local server on a new connection.

    Return what is wrong with the response, or an empty string.
    """
    try:
        status, body = (_by_http2 if over_http2(way) else _by_http1)(port, target, request, way)
    except (OSError, http.client.HTTPException, httpx.HTTPError) as error:
        return f"no response: {error!r}"
    return check(request, body) if status == http.client.OK else f"status {status}: {body[:200]!r}"


def _by_http1(port: int, target: str, request: Request, way: Way) -> tuple[int, bytes]:
    if over_tls(way):
        client: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=_PATIENCE, context=_OF_HTTP1
        )
    else:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        client.putrequest(request.method, target, skip_accept_encoding=True)
        for name, value in request.fields:
            client.putheader(name, value)
        if request.method == "POST":
            client.putheader("Content-Length", str(len(request.body)))
        client.endheaders(request.body or None)
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def _by_http2(port: int, target: str, request: Request, way: Way) -> tuple[int, bytes]:
    with httpx.Client(http1=False, http2=True, verify=_OF_HTTP2, timeout=_PATIENCE) as client:
        answer = client.request(request.method, url(way, port, target), headers=[*request.fields])
        return answer.status_code, answer.content


@contextmanager
def asking(ask_once: Ask) -> Iterator[list[str]]:
    """Send requests repeatedly until the context exits; yield the list of faults, which is complete after the exit."""
    wrong: list[str] = []
    over = threading.Event()

    def ask_on() -> None:
        while not over.wait(_BETWEEN):
            if fault := ask_once():
                wrong.append(fault)

    thread = threading.Thread(target=ask_on)
    thread.start()
    try:
        yield wrong
    finally:
        over.set()
        thread.join()

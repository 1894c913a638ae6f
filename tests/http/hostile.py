"""Requests with payloads wherever client bytes may appear.

Each of them has a harmless twin.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from urllib.parse import quote_from_bytes

from tests.http.attacks import ALL

BATCH: Final = 90  # payloads per request: the page shows a thousand rows of a table
BATCHES: Final = tuple(ALL[start : start + BATCH] for start in range(0, len(ALL), BATCH))
_CONTROLS: Final = 20  # controls per request, in the query and in headers each; 64 are accepted
# Settings with which the echo accepts such requests.
SETTINGS: Final = {"max_header_bytes": 1 << 20, "max_headers": 10_000}

_NO_VALUE: Final = re.compile(rb"[\x00-\x1f\x7f]")
_NO_TOKEN: Final = re.compile(rb"[^!#$%&'*+\-.^`|~0-9A-Za-z]")
_NO_HOST: Final = re.compile(rb"[^A-Za-z0-9\-._~!$&'()*+,;=]")
# Replacements that are equivalent in the grammars of all headers, and have no meaning in HTML.
_TWINS: Final = bytes.maketrans(b"<>&'", b"[]+*")
_NO_WORD: Final = re.compile(rb"[^0-9A-Za-z]")

Payloads = Sequence[bytes]
Pair = tuple[bytes, bytes]


def twin(payload: bytes) -> bytes:
    """Return a payload that every parser except HTML's handles alike."""
    return payload.translate(_TWINS)


def harmless(payload: bytes) -> bytes:
    """Return a payload of letters and digits with the same length."""
    return _NO_WORD.sub(b"x", payload)


def encoded(payload: bytes) -> bytes:
    """Return a payload for a request target, with every byte that has a meaning there percent-encoded."""
    return quote_from_bytes(payload, safe="").encode("ascii")


def _value(payload: bytes) -> bytes:
    """Return the part of a payload that is valid in a header value; another test covers the rejection of the rest."""
    return _NO_VALUE.sub(b"", payload).strip()


def _token(payload: bytes) -> bytes:
    return _NO_TOKEN.sub(b"", payload)[:100]


def _lists(payloads: Payloads) -> Iterator[Pair]:
    """Return the headers that are lists, each with all payloads."""
    values = [_value(payload) for payload in payloads]
    quotable = [re.sub(rb'(["\\])', rb"\\\1", value) for value in values]
    yield b"Cookie", b"; ".join(b"c%d=%b" % (place, value) for place, value in enumerate(values))
    yield b"X-Forwarded-For", b", ".join((*values, b"203.0.113.7"))
    yield b"Forwarded", b", ".join(b'for="%b";host="%b"' % (each, each) for each in quotable)


_SINGLE: Final = (
    b"User-Agent Referer Origin Accept-Language Accept-Encoding X-Real-IP X-Request-Id traceparent"
    b" Last-Event-ID From X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Prefix X-Forwarded-Port X-Forwarded-Ssl"
    b" True-Client-Ip Upgrade-Insecure-Requests Sec-Fetch-Site"
).split()


def _fields(payloads: Payloads, one: bytes, *, lists: bool) -> Iterator[Pair]:
    """Return headers of every kind; `one` is the payload of those that have a single value."""
    value = _value(one)
    for place, payload in enumerate(payloads):
        yield b"X-P%d" % place, _value(payload)
        yield b"X-%b" % _token(payload), b"1"
        if place < _CONTROLS:
            yield b"X-Echo-%b" % (_token(payload) or b"-"), _value(payload)
    if lists:
        yield from _lists(payloads)
    for name in _SINGLE:
        yield name, value
    basic = b64encode(one.replace(b":", b"") + b":secret")
    claims = json.dumps({"sub": one.decode("latin-1"), "p": [each.decode("latin-1") for each in payloads]})
    coded = (urlsafe_b64encode(part.encode()).rstrip(b"=") for part in ('{"alg":"none"}', claims))
    yield b"Authorization", b"Basic " + basic if len(one) % 2 else b"Bearer " + b".".join(coded) + b".AAAA"


def _form(payloads: Payloads) -> tuple[bytes, bytes]:
    pairs = (b"%b=%b&f%d=%b" % (*(encoded(each),) * 2, place, encoded(each)) for place, each in enumerate(payloads))
    return b"application/x-www-form-urlencoded", b"&".join(pairs)


def _json(payloads: Payloads) -> tuple[bytes, bytes]:
    texts = [payload.decode("latin-1") for payload in payloads]
    return b"application/json", json.dumps({"list": texts, **dict.fromkeys(texts, 1)}).encode()


def _multipart(payloads: Payloads) -> tuple[bytes, bytes]:
    """Return one part for each payload: in its name, its filename, its content type and its content."""

    def part(payload: bytes) -> bytes:
        quoted = payload.replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A").replace(b"\0", b"%00")
        head = b'Content-Disposition: form-data; name="%b"; filename="%b"' % (quoted, quoted)
        return b"--x\r\n%b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (head, _value(payload) or b"a", payload)

    return b"multipart/form-data; boundary=x", b"".join(map(part, payloads)) + b"--x--\r\n"


def _text(payloads: Payloads) -> tuple[bytes, bytes]:
    return _value(payloads[0]), b"\r\n".join(payloads)


BODIES: Final[dict[str, Callable[[Payloads], tuple[bytes, bytes]]]] = {
    "form": _form,
    "json": _json,
    "multipart": _multipart,
    "text": _text,
}


def request(  # noqa: PLR0913 - a place each
    payloads: Payloads,
    query: bytes = b"",
    *,
    body: str = "",
    one: int = 0,
    fields: bool = True,
    lists: bool = True,
) -> bytes:
    """Return a request with these payloads in its target, headers, a body of this kind, and trailers.

    `query` is added unchanged; `one` is the index of the payload used where there is a single value. Without `fields`,
    the payloads are in the body and its trailers only; without `lists`, headers that list all payloads are omitted.
    """
    lines = (
        _head(payloads, query, payloads[one], lists=lists) if fields else [b"POST /?%b HTTP/1.1" % query, b"Host: a"]
    )
    lines += [b"Connection: close"]
    if not body:
        return b"\r\n".join((*lines, b"", b""))
    content_type, content = BODIES[body](payloads)
    lines += [b"Content-Type: " + content_type, b"Transfer-Encoding: chunked"]
    trailers = [b"X-T%d: %b" % (place, _value(payload)) for place, payload in enumerate(payloads)]
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(content), content)
    return b"\r\n".join((*lines, b"", chunks + b"\r\n".join((*trailers, b"", b""))))


def _head(payloads: Payloads, query: bytes, single: bytes, *, lists: bool) -> list[bytes]:
    pairs = [b"q%d=%b&%b" % (place, encoded(each), encoded(each)) for place, each in enumerate(payloads)]
    pairs += [b"echo_%b=%b" % (encoded(each), encoded(each)) for each in payloads[:_CONTROLS]]
    target = b"/" + b"/".join(map(encoded, payloads)) + b"?" + b"&".join((*pairs, query))
    lines = [b"X%b %b HTTP/1.1" % (_token(single), target), b"Host: x" + _NO_HOST.sub(b"", single)]
    return lines + [b"%b: %b" % field for field in _fields(payloads, single, lists=lists)]


def asking(query: bytes, *, target: bytes = b"/", fields: Sequence[Pair] = ()) -> bytes:
    """Return a plain request that closes the connection."""
    lines = (b"GET %b?%b HTTP/1.1" % (target, query), b"Host: a", *(b"%b: %b" % field for field in fields))
    return b"\r\n".join((*lines, b"Connection: close", b"", b""))

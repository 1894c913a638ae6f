"""Fuzz target: decoded and parsed request bodies.

Codings and parts are decoded the same however the body is split, within limits, as other implementations decode them.
An input is a line of Content-Type, a line of Content-Encoding, and the body. If the second line begins with `+`, the
codings are applied here, and decoding must return the original body.
"""

import gzip
import hashlib
import sys
import zlib
from collections.abc import Iterator
from typing import Final

import brotli  # type: ignore[import-untyped] # it publishes no types
import msgspec

from app.echo.reflection.body import reflect_body
from app.http.body import BODY_PREFIX_SIZE, Body, BodyReader, parse_content_headers
from app.http.compress import COMPRESSORS, compress_pieces
from app.http.decompress import MAX_CODINGS
from app.http.request import HeaderList
from tools.fuzz.cutting import Pieces, deliveries

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LONGEST: Final = 4096
MOST: Final = 200_000  # bytes up to which codings are decoded
_STEPS: Final = 20_000  # units of work that one body may leave: more would be a body that never ends
_FORM: Final = b"multipart/form-data; boundary=b"
_PART: Final = (
    b'--b\r\nContent-Disposition: form-data; name="n"; filename="f"\r\nContent-Type: text/plain\r\n\r\ntext\r\n'
)
WORDS: Final = (
    b"application/json\n", _FORM + b"\n", b'multipart/mixed; boundary="a b"', b"application/x-www-form-urlencoded",
    b"text/plain; charset=utf-8", b"gzip", b"+gzip\n", b"deflate", b"br", b"zstd", b"identity", b"gzip, br", b"--b\r\n",
    b"--b--\r\n", _PART, b"\r\n\r\n", b'; name="', b"filename*=UTF-8''", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd",
    b"\x78\x9c", b"\x50\x2a\x4d\x18\x00\x00\x00\x00", b'{"a": 1e400}', b"[[[", b'"\\ud800"', b"a=1&b=%26",
)  # fmt: skip


def check(data: bytes) -> None:
    """Read a body in several deliveries, and compare the result with the libraries', which get it at once."""
    content_type, _, rest = data.partition(b"\n")
    encoding, _, raw = rest.partition(b"\n")
    sent = raw
    if applied := encoding.startswith(b"+"):
        encoding = encoding[1:]
        for coding in codings(encoding):
            sent = b"".join(compress_pieces([sent], coding)) if coding in COMPRESSORS else sent
    fields: HeaderList = ((b"Content-Type", content_type), (b"Content-Encoding", encoding))
    whole, *others = [measured(fields, pieces) for pieces in deliveries(sent)]
    for other in others:
        assert _comparable(other) == _comparable(whole)
    assert (whole.length, whole.sha256, whole.prefix) == (
        len(sent),
        hashlib.sha256(sent).hexdigest(),
        sent[:BODY_PREFIX_SIZE],
    )
    _check_decoded(whole, sent)
    if applied and whole.decoded and len(codings(encoding)) <= MAX_CODINGS and {*codings(encoding)} <= {*COMPRESSORS}:
        assert whole.decoded.content
        assert whole.decoded.content.prefix == raw
    if whole.multipart:
        assert sum(part.length for part in whole.multipart.parts) <= len(sent)
    shown = msgspec.json.encode(reflect_body(whole, fields))
    msgspec.json.decode(shown)
    assert len(shown) < 20 * len(data) + 10 * BODY_PREFIX_SIZE


def seeds() -> Iterator[bytes]:
    """Yield bodies of every type that is parsed, in every coding."""
    json = b'{"a": [1, 2.5, null, true, "\\u00e9"]}'
    yield from (b"application/json\n\n" + json, b"application/x-www-form-urlencoded\n\na=1&b=%26+c&&d")
    yield _FORM + b"\n\n" + _PART + _PART + b"--b--\r\n"
    yield b"multipart/mixed; boundary=b\n\nbefore\r\n--b\r\n\r\n\r\n--b--\r\nbehind"
    for coding in COMPRESSORS:
        for content_type, body in ((b"application/json", json), (_FORM, _PART + b"--b--\r\n")):
            yield content_type + b"\n+" + coding.encode() + b"\n" + body
            yield content_type + b"\n" + coding.encode() + b"\n" + b"".join(compress_pieces([body], coding))
    yield b"\ngzip\n" + gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0)
    yield b"\ndeflate\n" + zlib.compress(b"hello")[2:-4]
    yield b"text/plain\n+gzip, br, zstd\nhello"


def codings(encoding: bytes) -> list[str]:
    """Return the codings of a Content-Encoding, without `identity`."""
    names = (name.strip(b" \t").lower().decode("latin-1") for name in encoding.split(b","))
    return [name for name in names if name not in {"", "identity"}]


def measured(fields: HeaderList, pieces: Pieces) -> Body:
    """Return the result for a body that is received in these pieces."""
    meter = BodyReader(parse_content_headers(fields), MOST)
    steps = 0
    for piece in pieces:
        meter.add_piece(piece)
        while meter.has_work:
            meter.step()
            steps += 1
            assert steps < _STEPS
    return meter.finish(chunked=False)


def _comparable(body: Body) -> Body:
    """Omit why something was not decoded: the libraries' messages depend on the piece in which they saw it."""
    replace = msgspec.structs.replace
    if body.multipart and body.multipart.error:
        return replace(body, multipart=replace(body.multipart, error="refused"))
    if body.decoded and body.decoded.error:
        return replace(body, decoded=replace(body.decoded, error="refused"))
    if body.decoded and body.decoded.content:
        return replace(body, decoded=replace(body.decoded, content=_comparable(body.decoded.content)))
    return body


def _check_decoded(body: Body, sent: bytes) -> None:
    if not body.decoded or not body.decoded.content:
        return
    content = body.decoded.content
    assert content.length <= MOST
    expected = sent
    for coding in reversed(body.decoded.codings):
        expected = _DECODED.get(coding, lambda data: data)(expected)
    assert (content.length, content.sha256) == (len(expected), hashlib.sha256(expected).hexdigest())


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return zlib.decompress(data, -15)


_DECODED: Final = {
    b"gzip": gzip.decompress,
    b"x-gzip": gzip.decompress,
    b"deflate": _inflated,
    b"br": brotli.decompress,
    b"zstd": zstd.decompress,
}

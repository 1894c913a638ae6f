"""A body, measured while it passes: constant memory, whatever its length."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import structs
from multipart import parse_options_header  # type: ignore[import-untyped] # it publishes no types

from app.http.decompress import IDENTITY, Decoding
from app.http.multipart import Multipart, PartsMeter

KEPT: Final = 65_536  # bytes of a body's beginning that are kept to be shown


class Content(msgspec.Struct, frozen=True, gc=False):
    """What a request says of its content: how a body is to be read.

    `media_type` is in lower case, without parameters, empty where there is none; `boundary` that of a multipart type.
    `codings` are in lower case, in the order in which they were applied; empty where nothing was done.
    """

    media_type: bytes = b""
    boundary: bytes = b""
    codings: tuple[bytes, ...] = ()

    @property
    def multipart(self) -> bool:
        """Whether it consists of parts (RFC 2046, 5.1)."""
        return self.media_type.startswith(b"multipart/")


PLAIN: Final = Content()


def content_of(fields: Iterable[tuple[bytes, bytes]]) -> Content:
    """Give what a request's fields say of its content (RFC 9110, 8.3 and 8.4).

    Of Content-Types that differ none is taken: two recipients could read the body differently.
    """
    types: list[bytes] = []
    codings: list[bytes] = []
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-type":
            types.append(value)
        elif lower == b"content-encoding":
            codings += [coding for part in value.split(b",") if (coding := part.strip(b" \t").lower())]
    if not types and not codings:
        return PLAIN
    media_type, boundary = _media_type(types[0]) if len(set(types)) == 1 else (b"", b"")
    coded = any(coding != IDENTITY for coding in codings)
    return Content(media_type, boundary, tuple(codings) if coded else ())


def _media_type(value: bytes) -> tuple[bytes, bytes]:
    # As Latin-1 every byte is a character, and none is lost.
    media_type, options = parse_options_header(value.decode("latin-1"))
    return media_type.encode("latin-1"), options.get("boundary", "").encode("latin-1")


class Body(msgspec.Struct, frozen=True, gc=False):
    """A request's body, without its transfer coding.

    `length` is in bytes, `sha256` in hexadecimal digits, both of the whole; `kept` is its beginning, at most `KEPT`
    bytes; `chunked` tells whether chunks carried it. `decoded` is there where it has content codings, `multipart`
    where it has none and consists of parts.
    """

    length: int
    sha256: str
    chunked: bool
    kept: bytes
    decoded: "Decoded | None" = None
    multipart: Multipart | None = None


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A body without its content codings: its `content`, or, in one line, why it has none that can be told."""

    codings: tuple[bytes, ...]
    content: Body | None = None
    refused: str = ""


class Meter:
    """Measures a body: `take` its pieces in order, `work` while it is `pending`, then ask for `body`.

    A coding that is undone may yield at most `max_decoded` bytes. That is the only work that can be left over: a piece
    costs one bounded step, whatever it stands for. Where `refused` says in a line why not, no coding is undone.
    """

    # Most bodies have neither codings nor parts: here these cost them nothing.
    _coded: "_Coded | None" = None
    _refused: Decoded | None = None
    _parts: PartsMeter | None = None
    _onward: Callable[[bytes], None] | None = None  # who takes the pieces further

    def __init__(self, content: Content = PLAIN, max_decoded: int = 0, refused: str = "") -> None:
        self._length = 0
        self._digest = hashlib.sha256()
        self._kept: bytes | bytearray = b""
        if content is PLAIN:
            return
        if content.codings and refused:
            self._refused = Decoded(content.codings, refused=refused)
        elif content.codings:
            self._coded = _Coded(content, max_decoded)
            self._onward = self._coded.decoding.take
        elif content.multipart:
            self._parts = PartsMeter(content.boundary)
            self._onward = self._parts.take

    def take(self, piece: bytes) -> None:
        """Take the next piece: at most 256 KiB, so that it is digested and parsed in good time."""
        if not self._length:
            self._kept = piece[:KEPT]  # most bodies are one piece, which is not copied
        elif self._length < KEPT:
            if isinstance(self._kept, bytes):
                self._kept = bytearray(self._kept)  # pieces may be many: what came before is not copied for each
            self._kept += piece[: KEPT - self._length]
        self._length += len(piece)
        self._digest.update(piece)
        if self._onward is not None:
            self._onward(piece)

    @property
    def kept(self) -> int:
        """How many bytes of the beginning are kept so far."""
        return len(self._kept)

    @property
    def pending(self) -> bool:
        """Whether work is left: until it is done no more should be read, and `body` not be asked for."""
        return self._coded is not None and self._coded.decoding.pending

    def work(self) -> None:
        """Do one bounded step of the work that is left."""
        if self._coded is not None:
            self._coded.decoding.work()

    def body(self, *, chunked: bool) -> Body:
        """Give what was measured, once, behind the last piece. Nothing may be pending."""
        measured = Body(self._length, self._digest.hexdigest(), chunked, bytes(self._kept))
        if self._coded is not None and self._length:
            return structs.replace(measured, decoded=self._coded.decoded())
        if self._refused is not None and self._length:
            return structs.replace(measured, decoded=self._refused)
        if self._parts is not None and self._length:
            return structs.replace(measured, multipart=self._parts.parts())
        return measured


class _Coded:
    """What is measured of a body with content codings: that which comes out of them."""

    def __init__(self, content: Content, max_decoded: int) -> None:
        self._codings = content.codings
        self._meter = Meter(structs.replace(content, codings=()))
        self.decoding = Decoding(content.codings, max_decoded, self._meter.take)

    def decoded(self) -> Decoded:
        self.decoding.end()
        if self.decoding.refused:
            return Decoded(self._codings, refused=self.decoding.refused)
        return Decoded(self._codings, self._meter.body(chunked=False))


NONE: Final = Meter().body(chunked=False)

"""Fuzz target: content negotiation.

The format and the coding that a client prefers are those of the highest quality (RFC 9110, 12.4.2, 12.5). An input is a
line of Accept, and a line of Accept-Encoding.
"""

import re
from collections.abc import Iterator
from typing import Final

from app.config.formats import EVENTS
from app.echo.formats import renderers
from app.http.compress import COMPRESSORS, negotiate_encoding
from app.http.headers.accept import ANY, negotiate_media_type

LONGEST: Final = 1024
OFFERS: Final = tuple(media_type for media_type, _ in renderers.media_types())
_TCHARS: Final = r"[!#$%&'*+\-.^_`|~0-9a-z]+"
WORDS: Final = (
    *(offer.encode() for offer in OFFERS), b"*/*", b"text/*", b"application/*", b";q=0", b";q=1", b";q=0.5",
    b", ", b"; charset=utf-8", b"gzip", b"br", b"zstd", b"deflate", b"identity", b"*;q=0", b"\n", b'"', b"Q=",
)  # fmt: skip


def check(data: bytes) -> None:
    """Select by what may be an Accept and an Accept-Encoding header."""
    accept, _, encoding = (part.decode("latin-1") for part in data.partition(b"\n"))
    for default in ("bare", "json"):
        form = renderers.negotiate_format(accept, default)
        assert form in {*renderers.RENDERERS, EVENTS, None}
        assert renderers.negotiate_format(accept.upper().lower(), default) == form or not accept.isascii()
    _check_quality(accept, negotiate_media_type(accept, OFFERS, "text/html"))
    coding = negotiate_encoding(encoding)
    assert coding in {*COMPRESSORS, ""}
    if coding:
        assert coding in encoding.lower() or "*" in encoding


def seeds() -> Iterator[bytes]:
    """Yield headers that browsers and tools send, and more."""
    yield b"*/*\ngzip, deflate, br, zstd"
    yield b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\ngzip;q=0.5, br;q=0.7"
    yield b"application/json;q=0.5, text/*;q=0.7, text/plain;q=0\nidentity;q=1, *;q=0"
    yield b"text/event-stream\n*"
    yield b"application/yaml; charset=utf-8; q=0.3, */*;q=0\n"


def _check_quality(accept: str, chosen: str | None) -> None:
    """Compare a selection with the qualities of everything available, computed by the rule alone."""
    ranges = _ranges(accept)
    if not ranges:
        assert chosen == ANY
        return
    qualities = {offer: _quality(offer, ranges) for offer in OFFERS}
    best = max(qualities.values())
    if chosen is None:
        assert best == 0
    elif chosen == ANY:
        assert qualities["text/html"] == best > 0
    else:
        assert qualities[chosen] == best > 0


def _ranges(accept: str) -> dict[str, float]:
    """Return the quality of each valid range; if a range is repeated, the first counts."""
    found: dict[str, float] = {}
    for element in accept.lower().split(","):
        name, *parameters = re.split(r"\s*;\s*", element.strip())
        weights = [value.strip() for key, _, value in (each.partition("=") for each in parameters) if key == "q"]
        quality = weights[0] if weights else "1"
        if re.fullmatch(rf"{_TCHARS}/{_TCHARS}", name) and re.fullmatch(
            r"0(\.\d{0,3})?|1(\.0{0,3})?", quality, re.ASCII
        ):
            found.setdefault(name, float(quality))
    return found


def _quality(offer: str, ranges: dict[str, float]) -> float:
    names = (offer, offer.partition("/")[0] + "/*", ANY)
    return next((ranges[name] for name in names if name in ranges), 0.0)

"""Header names in canonical spelling and as CGI variables.

Results are cached, since the same few names are in every request. The cache has a fixed number of entries, and only
short names, so that a client with invented names can't fill the memory.
"""

import re
from collections.abc import Callable
from typing import Final, TypeVar

_COUNT: Final = 1024
_LONGEST: Final = 64  # bytes

Spelling = TypeVar("Spelling")

_WORD = re.compile(r"[^-]+")
# PEP 3333 names these two without HTTP_. Transfer-Encoding is omitted: the server has decoded the chunks, and Bottle
# would decode them again and respond with 400.
_CGI_OWN: Final = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_CGI_HIDDEN: Final = b"transfer-encoding"


class Remembered(dict[bytes, Spelling]):
    """Cache of values computed from header names, or from other short bytes that are in every request.

    A lookup by `__getitem__` costs less than a call through `functools.lru_cache`.
    """

    def __init__(self, spell: Callable[[bytes], Spelling]) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, name: bytes) -> Spelling:
        spelling = self._spell(name)
        if len(name) <= _LONGEST:
            if len(self) >= _COUNT:
                self.clear()
            self[name] = spelling
        return spelling


def _canonical(name: bytes) -> str:
    return _WORD.sub(lambda word: word[0].capitalize(), name.decode("ascii"))


def _cgi_key(name: bytes) -> str | None:
    lower = name.lower()
    if b"_" in lower or lower == _CGI_HIDDEN:
        return None
    return _CGI_OWN.get(lower) or "HTTP_" + lower.decode("ascii").upper().replace("-", "_")


canonical: Final = Remembered(_canonical).__getitem__
"""Return a header name in canonical spelling: `x-forwarded-for` as `X-Forwarded-For`."""

cgi_key: Final = Remembered(_cgi_key).__getitem__
"""Return the WSGI environ key of a header (RFC 3875, 4.1.18), or None if it must be omitted.

A name with `_` would pass for one with `-`.
"""

"""Header names in canonical spelling and as CGI variables.

Results are cached, since the same few names are in every request. The cache has a fixed number of entries, and only
short names, so that a client with invented names can't fill the memory.
"""

import re
from collections.abc import Callable
from typing import Final, TypeVar

_MAX_ENTRIES: Final = 1024
_MAX_NAME_LENGTH: Final = 64  # bytes

CachedValue = TypeVar("CachedValue")

_WORD = re.compile(r"[^-]+")
# PEP 3333 names these two without HTTP_. Transfer-Encoding is omitted: the server has decoded the chunks, and Bottle
# would decode them again and respond with 400.
_CGI_NAMES: Final = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_CGI_OMITTED: Final = b"transfer-encoding"


class BoundedCache(dict[bytes, CachedValue]):
    """Cache of values computed from header names, or from other short bytes that are in every request.

    A lookup by `__getitem__` costs less than a call through `functools.lru_cache`.
    """

    def __init__(self, compute: Callable[[bytes], CachedValue]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, name: bytes) -> CachedValue:
        value = self._compute(name)
        if len(name) <= _MAX_NAME_LENGTH:
            if len(self) >= _MAX_ENTRIES:
                self.clear()
            self[name] = value
        return value


def _compute_canonical_name(name: bytes) -> str:
    return _WORD.sub(lambda word: word[0].capitalize(), name.decode("ascii"))


def _compute_cgi_key(name: bytes) -> str | None:
    lower = name.lower()
    if b"_" in lower or lower == _CGI_OMITTED:
        return None
    return _CGI_NAMES.get(lower) or "HTTP_" + lower.decode("ascii").upper().replace("-", "_")


canonical_name: Final = BoundedCache(_compute_canonical_name).__getitem__
"""Return a header name in canonical spelling: `x-forwarded-for` as `X-Forwarded-For`."""

cgi_key: Final = BoundedCache(_compute_cgi_key).__getitem__
"""Return the WSGI environ key of a header (RFC 3875, 4.1.18), or None if it must be omitted.

A name with `_` would pass for one with `-`.
"""

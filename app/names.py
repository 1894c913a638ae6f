"""Field names in other spellings than they were sent in: as people write them, and as CGI does.

Each is remembered, since the same few names come with every request: as many as are common, and only short ones, so
that a client that makes names up can't fill the memory.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

_COUNT: Final = 1024
_LONGEST: Final = 64  # bytes

_Spelling = TypeVar("_Spelling")

_WORD = re.compile(r"[^-]+")
# PEP 3333 names these two without HTTP_. Transfer-Encoding stays away: the carrier has decoded the chunks, and
# Bottle would do it once more and answer 400.
_CGI_OWN: Final = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_CGI_HIDDEN: Final = b"transfer-encoding"


def _remembered(spell: Callable[[bytes], _Spelling]) -> Callable[[bytes], _Spelling]:
    remembering = lru_cache(maxsize=_COUNT)(spell)
    return lambda name: remembering(name) if len(name) <= _LONGEST else spell(name)


def _canonical(name: bytes) -> str:
    return _WORD.sub(lambda word: word[0].capitalize(), name.decode("ascii"))


def _cgi_key(name: bytes) -> str | None:
    lower = name.lower()
    if b"_" in lower or lower == _CGI_HIDDEN:
        return None
    return _CGI_OWN.get(lower) or "HTTP_" + lower.decode("ascii").upper().replace("-", "_")


canonical: Final = _remembered(_canonical)
"""Give a field name as most people write it: `x-forwarded-for` as `X-Forwarded-For`."""

cgi_key: Final = _remembered(_cgi_key)
"""Give the key of a field in a WSGI environ (RFC 3875, 4.1.18), or None for what must not be there.

A name with `_` would pass for one with `-`.
"""

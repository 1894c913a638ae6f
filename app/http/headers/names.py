"""Field names in other spellings than they were sent in: as people write them, and as CGI does.

Each is remembered, since the same few names come with every request: as many as are common, and only short ones, so
that a client that makes names up can't fill the memory.
"""

import re
from collections.abc import Callable
from typing import Final, TypeVar

_COUNT: Final = 1024
_LONGEST: Final = 64  # bytes

Spelling = TypeVar("Spelling")

_WORD = re.compile(r"[^-]+")
# PEP 3333 names these two without HTTP_. Transfer-Encoding stays away: the carrier has decoded the chunks, and
# Bottle would do it once more and answer 400.
_CGI_OWN: Final = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_CGI_HIDDEN: Final = b"transfer-encoding"


class Remembered(dict[bytes, Spelling]):
    """What is made of a name, or of what else comes with every request and is short, made once.

    Looked up by `__getitem__`, it costs less than what `functools.lru_cache` wraps.
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
"""Give a field name as most people write it: `x-forwarded-for` as `X-Forwarded-For`."""

cgi_key: Final = Remembered(_cgi_key).__getitem__
"""Give the key of a field in a WSGI environ (RFC 3875, 4.1.18), or None for what must not be there.

A name with `_` would pass for one with `-`.
"""

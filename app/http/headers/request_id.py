"""Request ids: a valid X-Request-Id of the request, else generated."""

import re
from collections.abc import Container
from os import urandom
from typing import Final

from app.http.request import Environ

NAME: Final = "X-Request-Id"

_BYTES: Final = 16
_AT_ONCE: Final = 64

# Characters of common ids: UUIDs, ULIDs, hexadecimal and base64. No others are sent back, so that a program that logs
# the id can't misread it.
PATTERN: Final = "[A-Za-z0-9._:/+=@~-]{1,128}"
_SANE: Final = re.compile(PATTERN)


class Ids:
    """Request ids of one process; an X-Request-Id is used unless that header is in `hidden`."""

    def __init__(self, hidden: Container[bytes]) -> None:
        self._hides = NAME.lower().encode() in hidden
        self._ready: list[str] = []  # generated in advance, in this process: forked processes must not share them

    def given(self, environ: Environ) -> str:
        """Return the request's X-Request-Id; empty if it has none, or an invalid or redacted one."""
        given = environ.get("HTTP_X_REQUEST_ID")
        return "" if given is None or self._hides else sane(given)

    def new(self) -> str:
        """Return a new id: 128 random bits in hexadecimal, the format of a trace id."""
        try:
            return self._ready.pop()  # atomic, whichever thread calls
        except IndexError:  # many are generated at once, since each needs a system call
            many = urandom(_BYTES * _AT_ONCE).hex()
            first, *others = (many[begin : begin + 2 * _BYTES] for begin in range(0, len(many), 2 * _BYTES))
            self._ready += others
            return first


def sane(given: str) -> str:
    """Return a valid id unchanged, else an empty string."""
    return given if _SANE.fullmatch(given) else ""

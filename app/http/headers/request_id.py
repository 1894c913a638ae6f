"""Which request it is: the X-Request-Id that came, when it can be taken over, else one that is made."""

import re
from collections.abc import Container
from os import urandom
from typing import Final

from app.http.request import Environ

NAME: Final = "X-Request-Id"

_BYTES: Final = 16
_AT_ONCE: Final = 64

# What ids are made of wherever they come from: UUIDs, ULIDs, hexadecimal and base64. Nothing else is sent back, so that
# no id can be read as something else by whoever it is written down by.
_SANE: Final = re.compile(r"[A-Za-z0-9._:/+=@~-]{1,128}")


class Ids:
    """The ids of one process's requests; those that come are taken over unless `hidden`, field names, has theirs."""

    def __init__(self, hidden: Container[bytes]) -> None:
        self._hides = NAME.lower().encode() in hidden
        self._ready: list[str] = []  # drawn beforehand, in this process: two that are forked must not share them

    def given(self, environ: Environ) -> str:
        """Give the id that a request brings, or nothing, where it brings none or nobody may see it."""
        given = environ.get("HTTP_X_REQUEST_ID")
        return "" if given is None or self._hides else sane(given)

    def new(self) -> str:
        """Give a new id: 128 random bits, in hexadecimal, as a trace's id is."""
        try:
            return self._ready.pop()  # one step, whichever thread asks
        except IndexError:  # many are drawn at once, since each draw is a system call
            many = urandom(_BYTES * _AT_ONCE).hex()
            first, *others = (many[begin : begin + 2 * _BYTES] for begin in range(0, len(many), 2 * _BYTES))
            self._ready += others
            return first


def sane(given: str) -> str:
    """Give an id as it came, or nothing, when it is none to be taken over."""
    return given if _SANE.fullmatch(given) else ""

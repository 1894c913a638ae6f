"""Which request it is: the X-Request-Id that came, when it can be taken over, else one that is made."""

import re
from collections.abc import Iterator
from os import urandom
from typing import Final

NAME: Final = "X-Request-Id"

_BYTES: Final = 16
_AT_ONCE: Final = 64

# What ids are made of wherever they come from: UUIDs, ULIDs, hexadecimal and base64. Nothing else is sent back, so that
# no id can be read as something else by whoever it is written down by.
_SANE: Final = re.compile(r"[A-Za-z0-9._:/+=@~-]{1,128}")


def sane(given: str) -> str:
    """Give an id as it came, or nothing, when it is none to be taken over."""
    return given if _SANE.fullmatch(given) else ""


def made() -> Iterator[str]:
    """Give new ids without end: 128 random bits each, in hexadecimal, as a trace's id is.

    Many are drawn at once, since each draw is a system call. Processes that are forked must not share one iterator.
    """
    while True:
        many = urandom(_BYTES * _AT_ONCE).hex()
        for begin in range(0, len(many), 2 * _BYTES):
            yield many[begin : begin + 2 * _BYTES]

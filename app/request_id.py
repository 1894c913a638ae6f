"""Which request it is: the X-Request-Id that came, when it can be taken over, else one that is made."""

import re
from os import urandom
from typing import Final

NAME: Final = "X-Request-Id"

# What ids are made of wherever they come from: UUIDs, ULIDs, hexadecimal and base64. Nothing else is sent back, so that
# no id can be read as something else by whoever it is written down by.
_SANE: Final = re.compile(r"[A-Za-z0-9._:/+=@~-]{1,128}")


def sane(given: str) -> str:
    """Give an id as it came, or nothing, when it is none to be taken over."""
    return given if _SANE.fullmatch(given) else ""


def made() -> str:
    """Give a new id: 128 random bits, in hexadecimal, as a trace's id is."""
    return urandom(16).hex()

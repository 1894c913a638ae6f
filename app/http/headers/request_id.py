"""Request ids: a valid X-Request-Id of the request, else generated."""

import re
from collections.abc import Container
from os import urandom
from typing import Final

from app.http.request import Environ

HEADER: Final = "X-Request-Id"

_ID_BYTES: Final = 16
_BATCH_SIZE: Final = 64

# Characters of common ids: UUIDs, ULIDs, hexadecimal and base64. No others are sent back, so that a program that logs
# the id can't misread it.
PATTERN: Final = "[A-Za-z0-9._:/+=@~-]{1,128}"
_VALID_ID: Final = re.compile(PATTERN)


class RequestIds:
    """Request ids of one process; an X-Request-Id is used unless that header is in `redacted_names`."""

    def __init__(self, redacted_names: Container[bytes]) -> None:
        self._is_redacted = HEADER.lower().encode() in redacted_names
        self._generated_ids: list[
            str
        ] = []  # generated in advance, in this process: forked processes must not share them

    def from_environ(self, environ: Environ) -> str:
        """Return the request's X-Request-Id; empty if it has none, or an invalid or redacted one."""
        value = environ.get("HTTP_X_REQUEST_ID")
        return "" if value is None or self._is_redacted else valid_or_empty(value)

    def generate(self) -> str:
        """Return a new id: 128 random bits in hexadecimal, the format of a trace id."""
        try:
            return self._generated_ids.pop()  # atomic, whichever thread calls
        except IndexError:  # many are generated at once, since each needs a system call
            digits = urandom(_ID_BYTES * _BATCH_SIZE).hex()
            first, *others = (digits[start : start + 2 * _ID_BYTES] for start in range(0, len(digits), 2 * _ID_BYTES))
            self._generated_ids += others
            return first


def valid_or_empty(value: str) -> str:
    """Return a valid id unchanged, else an empty string."""
    return value if _VALID_ID.fullmatch(value) else ""

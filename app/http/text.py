"""Excerpts of untrusted text in messages.

An invalid value can have any length, so it is shortened.
"""

from typing import Final

_DEFAULT_LIMIT: Final = 40  # characters or bytes


def shorten(text: str, limit: int = _DEFAULT_LIMIT) -> str:
    """Return a text of at most `limit` characters unchanged, else its beginning and three dots, of that length."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def quote_excerpt(text: str) -> str:
    """Return a text in quotation marks, shortened, with line breaks escaped."""
    return repr(shorten(text))


def quote_bytes(raw: bytes) -> str:
    """Return the beginning of bytes in quotation marks, as one line of ASCII."""
    return ascii(raw[:_DEFAULT_LIMIT] + (b"..." if len(raw) > _DEFAULT_LIMIT else b""))[1:]

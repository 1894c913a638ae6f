"""Excerpts of untrusted text in messages.

An invalid value can have any length, so it is shortened.
"""

from typing import Final

_DEFAULT_LIMIT: Final = 40  # characters


def shorten(text: str, limit: int = _DEFAULT_LIMIT) -> str:
    """Return a text of at most `limit` characters unchanged, else its beginning and three dots, of that length."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def quote_excerpt(text: str) -> str:
    """Return a text in quotation marks, shortened, with line breaks escaped."""
    return repr(shorten(text))

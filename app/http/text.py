"""Excerpts of untrusted text in messages.

An invalid value can have any length, so it is shortened.
"""

from typing import Final

_USUAL: Final = 40  # characters


def shortened(text: str, most: int = _USUAL) -> str:
    """Return a text of at most `most` characters unchanged, else its beginning and three dots, of that length."""
    return text if len(text) <= most else text[: most - 3] + "..."


def quoted(text: str) -> str:
    """Return a text in quotation marks, shortened, with line breaks escaped."""
    return repr(shortened(text))

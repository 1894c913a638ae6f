"""Texts of others, shortened to be shown in a sentence: a value that is wrong may be as long as it likes."""

from typing import Final

_USUAL: Final = 40  # characters


def shortened(text: str, most: int = _USUAL) -> str:
    """Give a text, or its beginning and three dots, in at most so many characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def quoted(text: str) -> str:
    """Give a text in quotation marks, shortened, with no character that would end the line."""
    return repr(shortened(text))

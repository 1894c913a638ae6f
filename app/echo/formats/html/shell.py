"""Bytes as words of a POSIX shell, and as what a pipe carries: nothing of them is ever more than data.

https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html
"""

import re
from base64 import b64encode
from functools import lru_cache
from typing import Final

# What printf's format has a use for, what would end the quotes, and `!`, for which an interactive bash looks in its
# history where double quotes are around; and all that is not plain ASCII, to be looked at.
_TO_BE_WRITTEN: Final = re.compile(r"(?:[%\\'!]|[^ -~])+")
_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def quoted(raw: bytes) -> str:
    """Give bytes as one word: in single quotes, or, where some of them don't show or are not UTF-8, by printf.

    The shell takes line feeds off the end of what printf wrote, and no word holds NUL: don't give such.
    """
    text = raw.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return _in_quotes(text)
    return f'"$({_printf(text)})"'


def verbatim(raw: bytes) -> str | None:
    """Give a text of several lines as one word in single quotes, None where it can't be written so.

    An interactive bash of the older ones (macOS has 3.2) forgets at the end of a line that quotes are open, and would
    look for `!` in its history.
    """
    text = raw.decode("utf-8", "surrogateescape")
    fit = text.replace("\n", "").isprintable() and not ("\n" in text and "!" in text)
    return _in_quotes(text) if fit else None


def printing(raw: bytes) -> str:
    """Give a command that prints any bytes: as text where they are UTF-8, else out of base64."""
    try:
        return _printf(raw.decode())
    except UnicodeDecodeError:
        return f"printf %s '{b64encode(raw).decode('ascii')}' | base64 -d"


def _in_quotes(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _printf(text: str) -> str:
    written = _TO_BE_WRITTEN.sub(lambda found: "".join(map(_written, found[0])), text)
    if written.startswith("-"):  # else it would be an option
        written = r"\055" + written[1:]
    return f"printf '{written}'"


@lru_cache(maxsize=1024)
def _written(character: str) -> str:
    """Write a character for printf; those that are not ASCII and show stand for themselves."""
    if character > "~" and character.isprintable():
        return character
    return _SHORT.get(character) or "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))

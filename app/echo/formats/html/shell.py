"""POSIX shell quoting of bytes, as a word or as input of a pipe.

The shell never interprets a byte of them as anything but data.

https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html
"""

import re
from base64 import b64encode
from functools import lru_cache
from typing import Final

# Characters that are special in printf's format, that would end the quotes, and `!`, which an interactive bash expands
# from its history within double quotes; and all that are not printable ASCII, which `_written` decides on.
_TO_BE_WRITTEN: Final = re.compile(r"(?:[%\\'!]|[^ -~])+")
_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def quoted(raw: bytes) -> str:
    """Quote bytes as one word: in single quotes, or by printf if some are not printable or not UTF-8.

    The input must not end with a line feed, which the shell removes from printf's output, nor contain NUL, which no
    word can contain.
    """
    text = raw.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return _in_quotes(text)
    return f'"$({_printf(text)})"'


def verbatim(raw: bytes) -> str | None:
    """Quote a text of several lines as one word in single quotes; return None if that is impossible.

    An interactive bash of an older version (macOS has 3.2) forgets at the end of a line that quotes are open, and would
    expand `!` from its history.
    """
    text = raw.decode("utf-8", "surrogateescape")
    fit = text.replace("\n", "").isprintable() and not ("\n" in text and "!" in text)
    return _in_quotes(text) if fit else None


def printing(raw: bytes) -> str:
    """Return a command that prints any bytes: as text if they are UTF-8, else decoded from base64."""
    try:
        return _printf(raw.decode())
    except UnicodeDecodeError:
        return f"printf %s '{b64encode(raw).decode('ascii')}' | base64 -d"


def _in_quotes(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _printf(text: str) -> str:
    written = _TO_BE_WRITTEN.sub(lambda found: "".join(map(_written, found[0])), text)
    if written.startswith("-"):  # printf would parse it as an option
        written = r"\055" + written[1:]
    return f"printf '{written}'"


@lru_cache(maxsize=1024)
def _written(character: str) -> str:
    """Return a character as an escape of printf's format; printable non-ASCII characters are unchanged."""
    if character > "~" and character.isprintable():
        return character
    return _SHORT.get(character) or "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))

"""A file of settings, `NAME=value` a line: what can be read anew while the echo runs, as an environment can't.

Its form is Docker's (https://docs.docker.com/reference/cli/docker/container/run/#env): a value is all behind the first
`=`, without quotes or comments of its own; lines that are empty or begin with `#` say nothing.
"""

import os
import re
import stat
from typing import Final, NamedTuple

_NAME: Final = re.compile("ECHO_[A-Z0-9_]{1,50}")
LARGEST: Final = 1 << 16  # bytes; all settings, each a screen long, are less


class Assignment(NamedTuple):
    """A name and its value, and where they stand, as messages begin: `/etc/echo.env:3: `.

    `mistake` is a sentence about a line that does not give a value.
    """

    place: str
    name: str
    value: str
    mistake: str = ""


def read(path: str) -> list[Assignment]:
    """Give what a file says, in its order.

    Raises `ValueError` for one that can't be read, or is no text of at most `LARGEST` bytes.
    """
    try:
        data = _bytes(path)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    if len(data) > LARGEST:
        raise ValueError(f"larger than {LARGEST} bytes")
    try:
        return parse(data.decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise ValueError(f"invalid UTF-8 at byte {error.start}") from None


def _bytes(path: str) -> bytes:
    """Give what a file holds, its beginning if it is too long; nobody waits for what is not there yet."""
    with open(path, "rb", opener=_at_once) as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):  # the arbiter would wait for who writes, deaf to a stop
            raise OSError("a pipe can't be read again; must be a regular file")
        return file.read(LARGEST + 1)


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def parse(text: str, path: str) -> list[Assignment]:
    """Give what a file's text says; `path` is what messages call it."""
    found: list[Assignment] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in stripped.partition("="))
        mistake = ""
        if not equals or not _NAME.fullmatch(name):
            mistake = "must be ECHO_NAME=value"  # what it is instead may be a secret, of a file that was not meant
        elif name in lines:
            mistake = f"{name} is already set in line {lines[name]}"
        lines.setdefault(name, number)
        found.append(Assignment(f"{path}:{number}: ", name, value, mistake))
    return found

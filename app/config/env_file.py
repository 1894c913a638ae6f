"""Settings file: `NAME=value` per line, read again on reload.

Unlike the environment, a file can be read again while the service runs. Its format is Docker's
(https://docs.docker.com/reference/cli/docker/container/run/#env): a value is everything after the first `=`, without
quoting or comments; lines that are empty or begin with `#` are ignored.
"""

import os
import re
import stat
from typing import Final, NamedTuple

_NAME: Final = re.compile("ECHO_[A-Z0-9_]{1,50}")
LARGEST: Final = 1 << 16  # maximum size in bytes; all settings with long values are smaller


class Assignment(NamedTuple):
    """Line of a settings file: name and value; `place` begins messages about it, such as `/etc/echo.env:3: `.

    `mistake` is a sentence about an invalid line, else empty.
    """

    place: str
    name: str
    value: str
    mistake: str = ""


def read(path: str) -> list[Assignment]:
    """Parse a settings file; return its assignments in order.

    Raise `ValueError` if it can't be read, is larger than `LARGEST` bytes, or is not UTF-8.
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
    """Read a file, at most one byte more than `LARGEST`, without waiting for a writer."""
    with open(path, "rb", opener=_at_once) as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):  # a read would block the arbiter, which could not shut down
            raise OSError("a pipe can't be read again; must be a regular file")
        return file.read(LARGEST + 1)


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def parse(text: str, path: str) -> list[Assignment]:
    """Parse the text of a settings file; `path` is its name in messages."""
    found: list[Assignment] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in stripped.partition("="))
        mistake = ""
        if not equals or not _NAME.fullmatch(name):
            mistake = "must be ECHO_NAME=value"  # the line is not quoted: in a wrong file it may be a secret
        elif name in lines:
            mistake = f"{name} is already set in line {lines[name]}"
        lines.setdefault(name, number)
        found.append(Assignment(f"{path}:{number}: ", name, value, mistake))
    return found

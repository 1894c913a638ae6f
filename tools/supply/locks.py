"""The lock files, read: which version of which package, by which hashes of its archives."""

import re
from pathlib import Path
from typing import NamedTuple

from tools.commands import ROOT

_PACKAGE = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)")


class LockError(Exception):
    """A lock file lets something in that it does not name by version and hash; the message has the line."""


class Locked(NamedTuple):
    """A package of a lock file, by its normalized name (PEP 503), with the SHA-256 of each archive that is let in."""

    name: str
    version: str
    hashes: tuple[str, ...]


def lock_files() -> list[Path]:
    """Give the lock files, by name."""
    return sorted([ROOT / "requirements.txt", *ROOT.glob("requirements/*.txt")])


def normalized(name: str) -> str:
    """Give a package's name as PEP 503 compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(text: str) -> dict[str, Locked]:
    """Give the packages of a lock file by name. Raises `LockError` for a line that pins nothing, or without a hash."""
    packages: dict[str, Locked] = {}
    for line in _joined(text):
        package = _PACKAGE.match(line)
        hashes = tuple(_HASH.findall(line))
        if package is None or not hashes:
            raise LockError(f"not held to a version and a hash: {line}")
        name = normalized(package[1])
        packages[name] = Locked(name, package[2], hashes)
    return packages


def _joined(text: str) -> list[str]:
    """Give the lines that say something, each with what is continued behind a backslash."""
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [line for each in re.sub(r"\\\n\s*", " ", bare).splitlines() if (line := each.strip())]

"""Lock files: versions of packages, and hashes of their archives."""

import re
from pathlib import Path
from typing import NamedTuple

from tools.commands import ROOT

_PACKAGE = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)")


class LockError(Exception):
    """A lock file allows something that it does not pin by version and hash; the message has the line."""


class Locked(NamedTuple):
    """A package of a lock file, by its normalized name (PEP 503), with the SHA-256 of each allowed archive."""

    name: str
    version: str
    hashes: tuple[str, ...]


def lock_files() -> list[Path]:
    """Return the lock files, by name."""
    return sorted([ROOT / "requirements.txt", *ROOT.glob("requirements/*.txt")])


def normalized(name: str) -> str:
    """Return a package's name, normalized for comparison (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(text: str) -> dict[str, Locked]:
    """Return the packages of a lock file by name. Raise `LockError` for a line without a version or without a hash."""
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
    """Return the lines that are not empty or comments, each joined with its continuation after a backslash."""
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [line for each in re.sub(r"\\\n\s*", " ", bare).splitlines() if (line := each.strip())]

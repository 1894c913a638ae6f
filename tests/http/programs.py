"""Third-party client programs for tests: their paths and trusted TLS."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import NoReturn

import pytest
import trustme

from tests.http.process import Echo, running
from tools.commands import run
from tools.toolchain.__main__ import BUILT, HERE

_BUILD_DEADLINE = 300.0  # seconds; the first time, Go compiles its standard library
# How to install a program that may be missing.
_BROUGHT_BY = {
    "chromium": "apt-get install chromium",
    "curl": "apt-get install curl",
    "go": "Go 1.26 or newer, https://go.dev/dl",
    "h2load": "apt-get install nghttp2-client",
    "nghttp": "apt-get install nghttp2-client",
    "npm": "apt-get install npm",
    "openssl": "apt-get install openssl",
}


def missing(reason: str) -> NoReturn:
    """End a test that cannot run on this machine: it fails in CI, where nothing may be missing, else it is skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str:
    """Return the path of a program."""
    return shutil.which(name) or missing(f"no {name} on this machine: {_BROUGHT_BY[name]}")


def go_program(name: str) -> Path:
    """Build one of the tests' own Go programs from its current source and return its path.

    Go's cache makes that quick. Tests that run in parallel may need the same program; the lock keeps two builds from
    writing it at once.
    """
    built = BUILT / name
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT / f"{name}.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        run(
            *(program("go"), "-C", HERE / name, "build", "-trimpath", "-o", built, "."),
            deadline=_BUILD_DEADLINE,
            environ={"CGO_ENABLED": "0"},
        )
    return built


@dataclass(frozen=True)
class Secure:
    """An echo with TLS for `localhost` and 127.0.0.1; `authority` is the PEM file of its CA certificate."""

    echo: Echo
    authority: Path

    @property
    def url(self) -> str:
        """Return its URL, without a path."""
        return f"https://localhost:{self.echo.port}"


@contextmanager
def running_with_tls(folder: Path, **settings: object) -> Iterator[Secure]:
    """Run an echo with a certificate stored in a folder."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "echo.pem")
    with running(tls_cert=folder / "echo.pem", tls_key=folder / "echo.pem", **settings) as echo:
        yield Secure(echo, folder / "ca.pem")

"""Health check: `python -m app.healthcheck` requests /readyz.

It is for an image without a shell and without curl.
"""

import os
import socket
import sys
from collections.abc import Mapping
from typing import Final

from app.config import addresses, loader

TIMEOUT: Final = 2.0  # seconds
_MOST: Final = 65_536  # maximum size in bytes of a response that is read


def main(environ: Mapping[str, str]) -> int:
    """Request readiness from the admin port. Return 0 if ready, else print the reason to stderr and return 1."""
    configured = loader.read(environ)
    try:
        ready, told = _asked(addresses.near(configured.host), configured.admin_port)
    except OSError as error:
        ready, told = False, str(error)
    if ready:
        return 0
    print(f"not ready: {told}", file=sys.stderr)
    return 1


def _asked(host: str, port: int) -> tuple[bool, str]:
    """Request readiness. Return whether the server is ready, and the response as text; raise `OSError`.

    It does not use `http.client`, which imports an email parser and TLS: importing those took as long as the rest of a
    check, and a check runs every ten seconds.
    """
    with socket.create_connection((host, port), timeout=TIMEOUT) as sock:
        sock.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        with sock.makefile("rb") as file:
            head, _, body = file.read(_MOST).partition(b"\r\n\r\n")
    version, _, status = head.partition(b"\r\n")[0].partition(b" ")
    if not (version.startswith(b"HTTP/") and status):
        return False, "the response is not HTTP"
    told = status[:3] + b" " + body.strip()
    return status.startswith(b"200"), told.decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main(os.environ))

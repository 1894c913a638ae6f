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
_MAX_RESPONSE_BYTES: Final = 65_536  # maximum size in bytes of a response that is read


def main(environ: Mapping[str, str]) -> int:
    """Request readiness from the admin port. Return 0 if ready, else print the reason to stderr and return 1."""
    server_settings = loader.read_settings(environ)
    try:
        is_ready, reason = _request_readiness(
            addresses.reachable_host(server_settings.host), server_settings.admin_port
        )
    except OSError as error:
        is_ready, reason = False, str(error)
    if is_ready:
        return 0
    print(f"not ready: {reason}", file=sys.stderr)
    return 1


def _request_readiness(host: str, port: int) -> tuple[bool, str]:
    """Request readiness. Return whether the server is ready, and the response as text; raise `OSError`.

    It does not use `http.client`, which imports an email parser and TLS: importing those took as long as the rest of a
    check, and a check runs every ten seconds.
    """
    with socket.create_connection((host, port), timeout=TIMEOUT) as sock:
        sock.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        with sock.makefile("rb") as file:
            head, _, body = file.read(_MAX_RESPONSE_BYTES).partition(b"\r\n\r\n")
    version, _, status = head.partition(b"\r\n")[0].partition(b" ")
    if not (version.startswith(b"HTTP/") and status):
        return False, "the response is not HTTP"
    summary = status[:3] + b" " + body.strip()
    return status.startswith(b"200"), summary.decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main(os.environ))

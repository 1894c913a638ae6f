"""`python -m app.healthcheck`: whether the echo beside it is ready. For an image without a shell and without curl."""

import os
import socket
import sys
from collections.abc import Mapping
from typing import Final

from app.config import addresses, settings

TIMEOUT: Final = 2.0  # seconds
_MOST: Final = 65_536  # bytes of an answer that are read


def main(environ: Mapping[str, str]) -> int:
    """Ask the admin port for its readiness. Gives 0 when ready, else 1 and a line on stderr that says why."""
    # Of all settings only these: a file with others may have mistakes by now, which the echo beside it has not taken.
    configured = settings.read({name: value for name, value in environ.items() if name in settings.FIXED})
    try:
        ready, told = _asked(addresses.near(configured.host), configured.admin_port)
    except OSError as error:
        ready, told = False, str(error)
    if ready:
        return 0
    print(f"not ready: {told}", file=sys.stderr)
    return 1


def _asked(host: str, port: int) -> tuple[bool, str]:
    """Ask for readiness. Gives whether the echo is ready, and what is told of that; raises `OSError`.

    Without `http.client`, which imports what reads mail and speaks TLS: that took as long as all the rest of a check,
    and there is one every ten seconds.
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

"""Listen addresses of ECHO_HOST."""

from typing import Final

EVERY_ADDRESS: Final = "*"


def reachable_host(host: str) -> str:
    """Return the address at which a client on this machine reaches a service that listens on `host`."""
    return "127.0.0.1" if host in {EVERY_ADDRESS, "0.0.0.0"} else host  # noqa: S104 - compared, not bound

"""Listening sockets, bound before anything else is started.

So a busy port is reported by one clear sentence.
"""

import errno
import os
import socket
from typing import Final

from app.config.addresses import EVERY_ADDRESS
from app.config.settings import Settings

BACKLOG: Final = 2048  # connections in the kernel's backlog, which it limits to net.core.somaxconn
# Bytes of a response that the kernel accepts before it can send them, for each connection. Without a limit it accepts 4
# MiB (tcp(7), tcp_wmem) for a client that does not read, and that memory is the pod's.
_UNSENT_LIMIT: Final = 131_072


class ListenError(Exception):
    """A port can't be listened on; the message says which, why, and which variable changes it."""


def bind(settings: Settings) -> list[socket.socket]:
    """Listen on the main port and the admin port, in this order. Raise `ListenError`."""
    return [
        _bind_socket(settings.host, settings.port, "ECHO_PORT"),
        _bind_socket(settings.host, settings.admin_port, "ECHO_ADMIN_PORT"),
    ]


def _bind_socket(host: str, port: int, variable: str) -> socket.socket:
    try:
        sock = _create_socket(host, port)
        # Connections inherit it from the listener (https://docs.kernel.org/networking/ip-sysctl.html,
        # tcp_notsent_lowat).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_LIMIT)
    except OSError as error:
        raise ListenError(_error_message(error, host, port, variable)) from error
    return sock


def _create_socket(host: str, port: int) -> socket.socket:
    if host == EVERY_ADDRESS and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = "" if host == EVERY_ADDRESS else host
    return socket.create_server((address, port), family=family, backlog=BACKLOG)


def _error_message(error: OSError, host: str, port: int, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is busy: set {variable} to another one"
    if error.errno == errno.EACCES:
        return f"no permission to listen on port {port}: set {variable} to one above 1023"
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error  # an unknown host name: below 0
    return f"can't listen on {host}, port {port} ({reason}): set ECHO_HOST or {variable}"

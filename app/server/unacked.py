"""Bytes written to a connection that the client has not acknowledged."""

import asyncio
import termios
from contextlib import suppress
from fcntl import ioctl
from struct import Struct
from typing import Final

_INT: Final = Struct("i")


def unacked_bytes(transport: asyncio.Transport) -> int:
    """Return the bytes buffered here, and those the kernel holds unacknowledged, if the system reports them.

    Bytes buffered here move on in steps of 64 KiB (tcp(7), TCP_NOTSENT_LOWAT): a client that is slow, but never silent,
    may take a minute for one step.
    """
    unacked = 0
    with suppress(OSError, ValueError):  # SIOCOUTQ is Linux-specific
        descriptor = transport.get_extra_info("socket").fileno()
        (unacked,) = _INT.unpack(ioctl(descriptor, termios.TIOCOUTQ, bytes(_INT.size)))
    return transport.get_write_buffer_size() + unacked

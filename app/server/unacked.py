"""How many bytes of what was written to a connection its client has not taken."""

import asyncio
import termios
from contextlib import suppress
from fcntl import ioctl
from struct import Struct
from typing import Final

_INT: Final = Struct("i")


def outstanding(transport: asyncio.Transport) -> int:
    """Give those that wait here, and, where it can be asked, in the kernel for the client's acknowledgement.

    Those that wait here go on in steps of 64 KiB (tcp(7), TCP_NOTSENT_LOWAT): a client that is slow, and never silent,
    may take a minute for one.
    """
    kept = 0
    with suppress(OSError, ValueError):  # SIOCOUTQ is Linux's
        number = transport.get_extra_info("socket").fileno()
        (kept,) = _INT.unpack(ioctl(number, termios.TIOCOUTQ, bytes(_INT.size)))
    return transport.get_write_buffer_size() + kept

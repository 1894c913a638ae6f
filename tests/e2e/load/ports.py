"""Client ports, each reused as late as possible.

The kernel reuses a port after seconds, while the nodes keep the entry of its last connection for two minutes, by which
they route packets to pods (`nf_conntrack_tcp_timeout_time_wait`). Of 75,000 fresh connections, 45,000 met such an
entry, also of deleted pods. Failures from that would be caused by the client, and are not under test.
"""

import errno
import itertools
import random
import socket
from typing import Final

PORTS: Final = range(16_384, 65_536)  # at 200 connections a second, each is reused after four minutes

_order = itertools.cycle(random.sample(PORTS, len(PORTS)))


def new_socket() -> socket.socket:
    """Return an unconnected TCP socket with a port of its own. Raises `OSError` if all are in use."""
    sock = socket.socket()
    sock.setblocking(False)
    for port in itertools.islice(_order, len(PORTS)):
        try:
            sock.bind(("", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return sock
    raise OSError(errno.EADDRINUSE, "every port is in use")

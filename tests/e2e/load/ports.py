"""Ports of the client, each as long unused as can be.

The kernel gives one again after seconds, while the nodes still remember its last connection for two minutes, by which
they know what is for which pod (`nf_conntrack_tcp_timeout_time_wait`): of 75,000 fresh connections 45,000 met such an
entry, of pods that were gone as well. What comes of that is the client's doing, and not what is asked here.
"""

import errno
import itertools
import random
import socket
from typing import Final

PORTS: Final = range(16_384, 65_536)  # at 200 connections a second, each is had again after four minutes

_order = itertools.cycle(random.sample(PORTS, len(PORTS)))


def new_socket() -> socket.socket:
    """Give a TCP socket with a port of its own, not yet connected. Raises `OSError` when all are in use."""
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

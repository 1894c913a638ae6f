"""A listening socket: who connects is served, and who has connected when it closes is served still."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

Serve = Callable[[], asyncio.Protocol]


class Acceptor:
    """Accepts connections on one listening socket, which is its own to close; `serve` makes what serves one."""

    def __init__(self, sock: socket.socket, server: asyncio.AbstractServer, serve: Serve) -> None:
        self._sock = sock
        self._server = server
        self._serve = serve

    @classmethod
    async def begin(cls, sock: socket.socket, serve: Serve, backlog: int) -> "Acceptor":
        """Begin to accept."""
        server = await asyncio.get_running_loop().create_server(serve, sock=sock.dup(), backlog=backlog)
        return cls(sock, server, serve)

    def close(self) -> None:
        """Accept no more, at once: whoever waits in the kernel's queue is reset."""
        self._server.close()
        self._sock.close()

    async def close_in_order(self) -> None:
        """Accept no more. Whoever waits in the kernel's queue is served: closing the socket would reset them."""
        self._server.close()
        await asyncio.sleep(0)  # the loop's own descriptor is closed at the end of a turn; ours is open still
        waiting = []
        with suppress(OSError):  # none waits any more, or there is no descriptor left for who does
            while True:
                waiting.append(self._sock.accept()[0])
        self._sock.close()
        for each in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._serve, each)

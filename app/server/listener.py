"""Acceptor of connections on a listening socket.

On close, connections in the kernel's backlog are either reset or served.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

Serve = Callable[[], asyncio.Protocol]

_PAUSE: Final = 1.0  # seconds without accepting, when descriptors or memory are exhausted


class OneByOne:
    """Accepts one connection in a turn of the loop, from a socket that several workers share.

    The loop's own server accepts all waiting connections before it looks at anything else. With it, most clients that
    connected at the same time got the same worker, while the others were idle.
    """

    def __init__(self, sock: socket.socket, serve: Serve) -> None:
        self._sock = sock
        self._serve = serve
        self._loop = asyncio.get_running_loop()
        self._begun: set[asyncio.Task[object]] = set()  # accepted connections that are not set up yet
        self._pause: asyncio.TimerHandle | None = None
        self._begin()

    def close(self) -> None:
        """Stop accepting."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
        if self._pause is not None:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        """Wait until all accepted connections are set up."""
        await asyncio.gather(*self._begun, return_exceptions=True)

    def _begin(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        try:
            accepted, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another worker has it, or it has gone
            return
        except OSError:
            self._loop.remove_reader(self._sock)  # it would stay readable
            self._pause = self._loop.call_later(_PAUSE, self._begin)
            return
        accepted.setblocking(False)
        task = self._loop.create_task(self._serve_one(accepted))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

    async def _serve_one(self, accepted: socket.socket) -> None:
        with suppress(OSError):  # clients that have gone meanwhile
            await self._loop.connect_accepted_socket(self._serve, accepted)


class Acceptor:
    """Accepts connections on one listening socket, which it owns; `serve` creates the protocol of one connection."""

    def __init__(self, sock: socket.socket, server: asyncio.AbstractServer | OneByOne, serve: Serve) -> None:
        self._sock = sock
        self._server = server
        self._serve = serve

    @classmethod
    async def begin(cls, sock: socket.socket, serve: Serve, backlog: int, *, shared: bool = False) -> "Acceptor":
        """Start accepting; `shared` means that other workers accept on the same socket."""
        if shared:
            return cls(sock, OneByOne(sock, serve), serve)
        server = await asyncio.get_running_loop().create_server(serve, sock=sock.dup(), backlog=backlog)
        return cls(sock, server, serve)

    def close(self) -> None:
        """Stop accepting at once: connections in the kernel's backlog are reset."""
        self._server.close()
        self._sock.close()

    async def close_in_order(self) -> None:
        """Stop accepting, and serve the connections in the kernel's backlog: closing the socket would reset them."""
        self._server.close()
        if isinstance(self._server, OneByOne):
            await self._server.wait_closed()
        await asyncio.sleep(0)  # the loop's own descriptor is closed at the end of a turn; ours is still open
        waiting = []
        with suppress(OSError):  # the backlog is empty, or descriptors are exhausted
            while True:
                waiting.append(self._sock.accept()[0])
        self._sock.close()
        for each in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._serve, each)

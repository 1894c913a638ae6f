"""Acceptor of connections on a listening socket.

On close, connections in the kernel's backlog are either reset or served.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

ProtocolFactory = Callable[[], asyncio.Protocol]

_PAUSE_SECONDS: Final = 1.0  # seconds without accepting, when descriptors or memory are exhausted


class FairAcceptor:
    """Accepts one connection in a turn of the loop, from a socket that several workers share.

    The loop's own server accepts all waiting connections before it looks at anything else. With it, most clients that
    connected at the same time got the same worker, while the others were idle.
    """

    def __init__(self, sock: socket.socket, protocol_factory: ProtocolFactory) -> None:
        self._sock = sock
        self._protocol_factory = protocol_factory
        self._loop = asyncio.get_running_loop()
        self._setup_tasks: set[asyncio.Task[object]] = set()  # accepted connections that are not set up yet
        self._retry_timer: asyncio.TimerHandle | None = None
        self._start_accepting()

    def close(self) -> None:
        """Stop accepting."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
        if self._retry_timer is not None:
            self._retry_timer.cancel()

    async def wait_closed(self) -> None:
        """Wait until all accepted connections are set up."""
        await asyncio.gather(*self._setup_tasks, return_exceptions=True)

    def _start_accepting(self) -> None:
        self._retry_timer = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        try:
            client_socket, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another worker has it, or it has gone
            return
        except OSError:
            self._loop.remove_reader(self._sock)  # it would stay readable
            self._retry_timer = self._loop.call_later(_PAUSE_SECONDS, self._start_accepting)
            return
        client_socket.setblocking(False)
        task = self._loop.create_task(self._set_up_connection(client_socket))
        self._setup_tasks.add(task)
        task.add_done_callback(self._setup_tasks.discard)

    async def _set_up_connection(self, client_socket: socket.socket) -> None:
        with suppress(OSError):  # clients that have gone meanwhile
            await self._loop.connect_accepted_socket(self._protocol_factory, client_socket)


class Acceptor:
    """Accepts connections on one listening socket, which it owns.

    `protocol_factory` creates the protocol of one connection.
    """

    def __init__(
        self, sock: socket.socket, server: asyncio.AbstractServer | FairAcceptor, protocol_factory: ProtocolFactory
    ) -> None:
        self._sock = sock
        self._server = server
        self._protocol_factory = protocol_factory

    @classmethod
    async def start(
        cls, sock: socket.socket, protocol_factory: ProtocolFactory, backlog: int, *, shared: bool = False
    ) -> "Acceptor":
        """Start accepting; `shared` means that other workers accept on the same socket."""
        if shared:
            return cls(sock, FairAcceptor(sock, protocol_factory), protocol_factory)
        server = await asyncio.get_running_loop().create_server(protocol_factory, sock=sock.dup(), backlog=backlog)
        return cls(sock, server, protocol_factory)

    def close(self) -> None:
        """Stop accepting at once: connections in the kernel's backlog are reset."""
        self._server.close()
        self._sock.close()

    async def drain_and_close(self) -> None:
        """Stop accepting, and serve the connections in the kernel's backlog: closing the socket would reset them."""
        self._server.close()
        if isinstance(self._server, FairAcceptor):
            await self._server.wait_closed()
        await asyncio.sleep(0)  # the loop's own descriptor is closed at the end of a turn; ours is still open
        backlog = []
        with suppress(OSError):  # the backlog is empty, or descriptors are exhausted
            while True:
                backlog.append(self._sock.accept()[0])
        self._sock.close()
        for client_socket in backlog:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol_factory, client_socket)

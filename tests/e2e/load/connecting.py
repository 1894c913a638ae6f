"""Common base of the connections of all protocols."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, cast

from tests.e2e.load.judging import TIMEOUT, Answer, Fault, LostError, Request

Note = Callable[[Fault, str], None]
SHOWN: Final = 100  # bytes of unexpected data that are reported


class Connection(asyncio.Protocol, ABC):
    """One connection of a client, for any protocol; unexpected data is reported."""

    def __init__(self, host: str, note: Note) -> None:
        self.host = host
        self.note = note
        self.transport = cast("asyncio.Transport", None)
        self.ended = asyncio.Event()

    @property
    @abstractmethod
    def usable(self) -> bool:
        """Whether a request may be sent: the server has not announced the connection's end."""

    @abstractmethod
    async def ask(self, request: Request, *, last: bool) -> Answer:
        """Send a request, the `last` of which is followed by none; return its response.

        Raises `LostError`, and `AgainError` if the request may be sent again.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the connection when the server has sent everything. Raises `LostError` if it does not end."""

    @abstractmethod
    def fail(self, error: Exception | None) -> None:
        """Fail all pending requests: the server or the connection has ended."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def eof_received(self) -> bool:
        """Handle the end of the server's data."""
        self.connection_lost(None)
        return False  # closes the transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the connection."""
        self.ended.set()
        self.fail(exc)

    async def wait_for_the_end(self) -> None:
        """Wait until the peer has closed the connection; data is received until then. Raises `LostError`."""
        try:
            async with asyncio.timeout(TIMEOUT):
                await self.ended.wait()
        except TimeoutError:
            raise LostError(Fault.TIMED_OUT, "the connection, which was to be closed, is open") from None
        finally:
            self.transport.close()

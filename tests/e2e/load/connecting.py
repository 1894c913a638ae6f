"""What the connections of both protocols have in common."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, cast

from tests.e2e.load.judging import TIMEOUT, Answer, Fault, LostError, Request

Note = Callable[[Fault, str], None]
SHOWN: Final = 100  # bytes of what nobody asked for that are told of


class Connection(asyncio.Protocol, ABC):
    """One connection of a client, whatever it speaks; what comes on it and was not asked for is noted."""

    def __init__(self, host: str, note: Note) -> None:
        self.host = host
        self.note = note
        self.transport = cast("asyncio.Transport", None)
        self.ended = asyncio.Event()

    @property
    @abstractmethod
    def usable(self) -> bool:
        """Whether a request may be sent: nothing has said that the end comes."""

    @abstractmethod
    async def ask(self, request: Request, *, last: bool) -> Answer:
        """Send a request, after the `last` of which nothing comes; give its answer.

        Raises `LostError`, and `AgainError` where the request may be sent again.
        """

    @abstractmethod
    async def close(self) -> None:
        """End, once the server has nothing more to say. Raises `LostError` when it does not come to an end."""

    @abstractmethod
    def fail(self, error: Exception | None) -> None:
        """Let all that is waited for have no answer: the server has ended, or the connection has."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)

    def eof_received(self) -> bool:
        """Take the end of what the server sends."""
        self.connection_lost(None)
        return False  # which closes the transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        self.ended.set()
        self.fail(exc)

    async def wait_for_the_end(self) -> None:
        """Return when the other side has ended: what it has sent was taken until then. Raises `LostError`."""
        try:
            async with asyncio.timeout(TIMEOUT):
                await self.ended.wait()
        except TimeoutError:
            raise LostError(Fault.TIMED_OUT, "the connection, which was to be closed, is open") from None
        finally:
            self.transport.close()

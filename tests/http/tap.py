"""A recording TCP relay between a proxy and an echo.

It forwards bytes, and records the echo's responses on each connection.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.http.process import DEADLINE, free_ports


class Tap:
    """Forwards connections to a port, in an event loop of its own; `port` is where it accepts them.

    `answered` are the response bytes by connection, in the order in which the connections were opened.
    """

    def __init__(self, to: int) -> None:
        [self.port] = free_ports(1)
        self.answered: list[bytearray] = []
        self.asked: list[bytearray] = []
        self._to = to
        self._passing: set[asyncio.Task[None] | None] = set()  # the loop itself keeps no strong reference to its tasks

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        """Accept connections until `stop` is set."""
        async with await asyncio.start_server(self._pass_on, "127.0.0.1", self.port):
            started.set()
            await stop.wait()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._passing.add(asyncio.current_task())
        asked, answered = bytearray(), bytearray()
        self.asked.append(asked)
        self.answered.append(answered)
        from_echo, to_echo = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            await asyncio.gather(_copy(reader, to_echo, asked), _copy(from_echo, writer, answered))
        finally:
            for each in (writer, to_echo):
                each.close()
                with suppress(OSError):
                    await each.wait_closed()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray) -> None:
    """Forward bytes until the end, recorded before they are sent, so that all bytes that a peer received are known."""
    try:
        while data := await source.read(65_536):
            kept += data
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except OSError:
        sink.close()


async def _end_all() -> None:
    """Wait for the connections, which end with the proxy."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait_for(asyncio.gather(*left), DEADLINE)


@contextmanager
def tap(to: int) -> Iterator[Tap]:
    """Run a tap in front of a port of this machine; its clients must disconnect before it ends."""
    tapped = Tap(to)
    loop, stop, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(tapped.serve(started, stop),))
    thread.start()
    try:
        assert started.wait(DEADLINE)
        yield tapped
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE)
        loop.run_until_complete(_end_all())
        loop.close()

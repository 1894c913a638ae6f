"""Clock and timers of an event loop, injectable for tests.

A test advances the time instead of waiting for it.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

import msgspec


class TimerHandle(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call."""


class Clock(msgspec.Struct, frozen=True):
    """Clock and timers, of an event loop or of a test; times are in seconds.

    `now` is monotonic, `wall_time` is POSIX time. `call_soon` calls back in the loop's next turn, `call_later` after
    the given number of seconds, never before. `perf_counter` is a separate clock for measuring durations: within one
    turn of the loop `now` stands still, and a turn may be long.
    """

    now: Callable[[], float]
    wall_time: Callable[[], float]
    call_soon: Callable[[Callable[[], None]], object]
    call_later: Callable[[float, Callable[[], None]], TimerHandle]
    perf_counter: Callable[[], float] = time.perf_counter


def clock_for(loop: asyncio.AbstractEventLoop, wall_time: Callable[[], float]) -> Clock:
    """Return the clock of an event loop, whose times may be whole milliseconds, truncated.

    https://docs.libuv.org/en/v1.x/loop.html#c.uv_now
    """

    def call_later(seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return loop.call_later(
            (math.ceil(seconds * 1000) + 1) / 1000, callback
        )  # without one more, it may be too early

    return Clock(loop.time, wall_time, loop.call_soon, call_later)


async def drain_pending_reads(loop: asyncio.AbstractEventLoop) -> float:
    """Wait until all data that has arrived was read; return a loop time from before that reading.

    A loop runs its timers before its sockets, and it may lose the processor at any point. A time taken after the
    reading may therefore be later than the arrival of data that was not read. A deadline that had passed at the
    returned time was missed.
    """
    now = loop.time()
    await asyncio.sleep(0)  # the remainder of this turn, in which the loop reads its sockets
    return now

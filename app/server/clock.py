"""Clock and timers of an event loop, injectable for tests.

A test advances the time instead of waiting for it.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

import msgspec


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call."""


class Time(msgspec.Struct, frozen=True):
    """Clock and timers, of an event loop or of a test; times are in seconds.

    `clock` is monotonic, `wall` is POSIX time. `soon` calls back in the loop's next turn, `later` after the given
    number of seconds, never before. `exact` is a separate clock for measuring durations: within one turn of the loop
    `clock` stands still, and a turn may be long.
    """

    clock: Callable[[], float]
    wall: Callable[[], float]
    soon: Callable[[Callable[[], None]], object]
    later: Callable[[float, Callable[[], None]], Timer]
    exact: Callable[[], float] = time.perf_counter


def time_of(loop: asyncio.AbstractEventLoop, wall: Callable[[], float]) -> Time:
    """Return the clock of an event loop, whose times may be whole milliseconds, truncated.

    https://docs.libuv.org/en/v1.x/loop.html#c.uv_now
    """

    def later(seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return loop.call_later((math.ceil(seconds * 1000) + 1) / 1000, call)  # without one more, it may be too early

    return Time(loop.time, wall, loop.call_soon, later)


async def caught_up(loop: asyncio.AbstractEventLoop) -> float:
    """Wait until all data that has arrived was read; return a loop time from before that reading.

    A loop runs its timers before its sockets, and it may lose the processor at any point. A time taken after the
    reading may therefore be later than the arrival of data that was not read. A deadline that had passed at the
    returned time was missed.
    """
    now = loop.time()
    await asyncio.sleep(0)  # the remainder of this turn, in which the loop reads its sockets
    return now

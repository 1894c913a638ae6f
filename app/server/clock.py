"""The time, and calls in it, handed in: a test moves it instead of waiting for it."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

import msgspec


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Let it not come."""


class Time(msgspec.Struct, frozen=True):
    """The time, in seconds, and calls in it: those of an event loop, or of a test.

    `clock` is monotonic, `wall` is POSIX time. `soon` calls back in the loop's next turn, `later` when so many seconds
    have passed, never before. `exact` is a clock of its own, for how long something takes, where a turn of the loop, in
    which `clock` stands still, is long.
    """

    clock: Callable[[], float]
    wall: Callable[[], float]
    soon: Callable[[Callable[[], None]], object]
    later: Callable[[float, Callable[[], None]], Timer]
    exact: Callable[[], float] = time.perf_counter


def time_of(loop: asyncio.AbstractEventLoop, wall: Callable[[], float]) -> Time:
    """Give the time of an event loop, whose clock may have no more than whole milliseconds, cut off.

    https://docs.libuv.org/en/v1.x/loop.html#c.uv_now
    """

    def later(seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return loop.call_later((math.ceil(seconds * 1000) + 1) / 1000, call)  # without one more, it may be too early

    return Time(loop.time, wall, loop.call_soon, later)


async def caught_up(loop: asyncio.AbstractEventLoop) -> float:
    """Let all be read that has come; give a time on the loop's clock before which all that is read by then had come.

    A loop's timers come before its sockets, and it may get no processor at any point: behind its reading it may be a
    time before which much has come that was not read. Who was too late by the time before it, was.
    """
    now = loop.time()
    await asyncio.sleep(0)  # the rest of the turn, with its reading
    return now

"""Timers: never early, fired once, and no more of them than needed."""

import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, cast

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from app.server.clock import clock_for, drain_pending_reads
from app.server.http2.exchange import NEVER
from app.server.http2.schedule import Schedule
from app.server.timer import Timer
from tests.unit.served import Served


class Loop:
    """An event loop's clock that records the requested delay."""

    def __init__(self) -> None:
        self.milliseconds = 0

    def time(self) -> float:
        raise NotImplementedError

    def call_soon(self, call: Callable[[], None]) -> object:
        raise NotImplementedError

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        del call
        self.milliseconds = round(seconds * 1000)  # as uvloop does


@given(now=st.floats(0, 1e6), seconds=st.floats(0, 1e5))
def test_a_call_never_comes_too_early(now: float, seconds: float) -> None:
    """A timer is never early, although the loop's clock has whole milliseconds; it may be late by two."""
    loop = Loop()
    clock_for(cast("Any", loop), lambda: 0.0).call_later(seconds, lambda: None)
    comes = int(now * 1000) + loop.milliseconds
    assert (now + seconds) * 1000 <= comes + 1e-6
    assert comes <= (now + seconds) * 1000 + 2 + 1e-6


def test_who_is_not_yet_read_is_not_too_late() -> None:
    """Data that was not read yet does not count as late.

    The loop stands still while it reads, after it has polled for readable sockets; others send meanwhile.
    """
    loop = uvloop.new_event_loop()
    read: list[str] = []

    async def stand_still() -> float:
        (other, ours), (late, unread) = socket.socketpair(), socket.socketpair()
        with other, ours, late, unread:
            for each in (ours, unread):
                each.setblocking(False)

            def take() -> None:
                read.append("other")
                loop.remove_reader(ours)
                time.sleep(0.05)  # the standstill itself, of the loop and all in it
                late.send(b"a")

            loop.add_reader(ours, take)
            loop.add_reader(unread, lambda: read.append("late"))
            other.send(b"a")
            begun = time.monotonic()
            before = await drain_pending_reads(loop)
            assert read == ["other"]
            assert loop.time() >= begun + 0.049, "by the time that it is now, who is late would be too late"
            loop.remove_reader(unread)
        return before - begun

    try:
        assert loop.run_until_complete(stand_still()) <= 0
    finally:
        loop.close()


@pytest.fixture
def rung() -> list[float]:
    """Return the times at which an alarm has fired."""
    return []


def alarm(served: Served, rung: list[float]) -> Timer:
    """Return an alarm that records when it fires."""
    return Timer(served.service, lambda: rung.append(served.now - 1000))


def test_an_alarm_rings_once_at_the_earliest_time(rung: list[float]) -> None:
    """An alarm has one timer, however often it is set."""
    served = Served()
    it = alarm(served, rung)
    for at in (5.0, 3.0, 4.0, 3.0):
        it.schedule(1000 + at)
        assert len(served.pending()) == 1
    served.after(10)
    assert rung == [3]
    it.schedule(1011)
    served.after(10)
    assert rung == [3, 11]


@pytest.mark.parametrize("ago", [0, 7])
def test_an_alarm_for_now_rings_in_the_turn_after_the_next(rung: list[float], ago: float) -> None:
    """An alarm for now fires after the client's data has been read, and a later one does not fire too."""
    served = Served()
    it = alarm(served, rung)
    it.schedule(1005)
    it.schedule(1000 - ago)
    it.schedule(1000)
    served.turn()
    assert rung == []
    served.turn()
    assert rung == [0]
    assert (served.pending(), list(served.turns)) == ([], [])


@pytest.mark.parametrize("at", [1000, 1005])
def test_an_alarm_that_has_ended_does_not_ring(rung: list[float], at: float) -> None:
    """An ended alarm fires neither by a timer nor by turns."""
    served = Served()
    it = alarm(served, rung)
    it.schedule(at)
    it.cancel()
    served.after(10)
    served.turn(10)
    assert (rung, served.pending()) == ([], [])


def test_an_alarm_that_has_ended_may_be_set(rung: list[float]) -> None:
    """Setting an ended alarm is allowed, and has no effect."""
    served = Served()
    it = alarm(served, rung)
    it.schedule(1005)
    it.cancel()
    it.schedule(1007)
    served.after(10)
    assert rung == []


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 20), st.sampled_from(["put", "drop", "look"]))))
def test_a_schedule_tells_who_is_due_and_who_is_next(steps: list[tuple[int, int, str]]) -> None:
    """A schedule is equivalent to a table of streams and times, however they change."""
    schedule, table, now = Schedule(), {}, 0
    for stream, number, do in steps:
        if do == "put":
            schedule.set_due(stream, now + number)
            table[stream] = now + number
        elif do == "drop":
            schedule.remove(stream)
            table.pop(stream, None)
        else:
            now += number
            assert set(schedule.due_streams(now)) == {each for each, due in table.items() if due <= now}
            assert schedule.next_due() == min((due for due in table.values() if due > now), default=NEVER)
        assert schedule.due_times == table


def test_a_schedule_serves_in_turn_and_keeps_nothing_old() -> None:
    """Streams are served in turn, and repeated postponements take no memory."""
    schedule = Schedule()
    for stream in (1, 3, 5):
        schedule.set_due(stream, 0)
    assert schedule.due_streams(0) == [1, 3, 5]
    schedule.set_due(1, 0)
    assert schedule.due_streams(0) == [3, 5, 1]
    for later in range(10_000):
        schedule.set_due(1, 100 + later)
    assert len(schedule._heap) < 100  # noqa: SLF001 - what it would cost
    assert (schedule.due_streams(50), schedule.next_due()) == ([3, 5], 10_099)


@pytest.mark.parametrize("change", [-86_400, -1, 1, 86_400])
def test_a_clock_that_is_set_changes_the_date_and_no_deadline(change: int) -> None:
    """Date follows the clock at once, back or forth; timeouts don't depend on it."""
    served = Served()
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" in served.send(get)
    served.wall += change
    told = formatdate(784_111_777 + change, usegmt=True).encode()
    assert b"\r\nDate: " + told + b"\r\n" in served.send(get)
    assert served.after(74.9) == []
    assert served.after(0.1) == ["close"]

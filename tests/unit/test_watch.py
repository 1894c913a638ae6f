"""Batching of metrics and log lines: soon, and several together."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.http.connection_info import Endpoint
from app.http.controls_report import EMPTY_REPORT
from app.http.record import RequestRecord, ResponseInfo
from app.http.request import ConnectionInfo, HttpRequest
from app.telemetry.counters import Counters
from app.telemetry.log_writer import LogWriter
from app.telemetry.observer import AccessLogOutput, MetricsObserver

CONNECTION = ConnectionInfo(Endpoint("192.0.2.1", 1234), Endpoint("192.0.2.2", 80))
KEY = ("GET", "2", "HTTP/1.1", "json")


def answered(target: bytes = b"/", head: bytes = b"", **facts: Any) -> RequestRecord:
    """Return a request that was answered."""
    given: dict[str, Any] = {"status": "200 OK", "response_info": ResponseInfo("json", "id", 0.0, EMPTY_REPORT)} | facts
    request = HttpRequest(b"GET", target, "HTTP/1.1", (), head=head)
    return RequestRecord(request, CONNECTION, seconds=0.1, sent_bytes=1, received_bytes=0, **given)


class Watched:
    """A watch whose loop calls are made by hand, and whose log is a pipe."""

    def __init__(self, pipe: tuple[int, int]) -> None:
        self.calls: list[Callable[[], None]] = []
        self._end = pipe[0]
        log = AccessLogOutput(
            lambda all_: b"".join(each.request.target + b"\n" for each in all_),
            LogWriter(pipe[1], self._later, pytest.fail),
        )
        self.watch = MetricsObserver(Counters(), self._later, log)

    def _later(self, _seconds: float, call: Callable[[], None]) -> None:
        self.calls.append(call)

    @property
    def counted(self) -> int:
        """The number of counted requests."""
        return sum(self.watch.counters.requests.values())

    def logged(self) -> list[bytes]:
        """Return the lines that were written."""
        try:
            return os.read(self._end, 1 << 16).split()
        except BlockingIOError:
            return []


@pytest.fixture
def watched() -> Iterator[Watched]:
    """Yield a watch with a log."""
    pipe = os.pipe()
    os.set_blocking(pipe[0], False)
    watched = Watched(pipe)
    yield watched
    watched.watch.close(0)
    for end in pipe:
        os.close(end)


def test_a_request_waits_for_others_for_a_moment(watched: Watched) -> None:
    """Requests are processed together in one call of the loop, in the order of their responses.

    The next one waits again.
    """
    for target in (b"/a", b"/b"):
        watched.watch.record_request(answered(target))
    assert (watched.counted, watched.logged(), len(watched.calls)) == (0, [], 1)
    watched.calls.pop()()
    assert (watched.counted, watched.logged()) == (2, [b"/a", b"/b"])
    assert watched.watch.counters.durations["HTTP/1.1"].seconds == pytest.approx(0.2)
    watched.watch.record_request(answered(b"/c"))
    watched.calls.pop()()
    assert (watched.watch.counters.requests, watched.logged(), watched.calls) == ({KEY: 3}, [b"/c"], [])


def test_many_requests_do_not_wait(watched: Watched) -> None:
    """Batches have a maximum size, and the pending call finds nothing left to do."""
    targets = [b"/%d" % number for number in range(1000)]
    for target in targets:
        watched.watch.record_request(answered(target))
    assert watched.counted > 950
    assert len(watched.calls) == 1
    watched.calls.pop()()
    assert (watched.counted, watched.logged()) == (1000, targets)


def test_a_large_request_is_told_of_at_once(watched: Watched) -> None:
    """A large request is processed at once, because a batch of them would take too much memory."""
    watched.watch.record_request(answered(b"/a"))
    watched.watch.record_request(answered(b"/b", head=bytes(5000)))
    assert (watched.counted, watched.logged()) == (2, [b"/a", b"/b"])


def test_a_refusal_is_told_of_at_once(watched: Watched) -> None:
    """A rejected request is processed at once, because its time is not known later.

    It comes after the requests answered before it.
    """
    watched.watch.record_request(answered(b"/a"))
    watched.watch.record_request(answered(b"/b", response_info=None, status="400"))
    assert watched.logged() == [b"/a", b"/b"]
    assert watched.watch.counters.requests == {KEY: 1, ("GET", "4", "HTTP/1.1", "refusal"): 1}


@pytest.mark.parametrize("end", [lambda watch: watch.flush(), lambda watch: watch.close(1.0)], ids=["asked", "closed"])
def test_who_asks_is_told_all(watched: Watched, end: Callable[[MetricsObserver], None]) -> None:
    """A scrape, or the end of a worker, processes everything."""
    watched.watch.record_request(answered(b"/a"))
    end(watched.watch)
    assert (watched.counted, watched.logged()) == (1, [b"/a"])

"""Keep-alive and pipelining as a state machine: one response per request.

Whatever a client does, in whatever order, each request is answered once and in order.

hypothesis chooses what the client, the network and the clock do, step by step. A model says what must have been
answered, and when the connection may, or must, have ended.
"""

from collections import deque
from typing import Final

import h11
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.server.response import CONTINUE
from app.server.state import LINGER
from tests.unit.keep_alive import DELAY, INTERVAL, PIECES, Numbered, Sent, requests
from tests.unit.served import Served

HEAD_SECONDS: Final = 10  # as in `Served`
BODY_SECONDS: Final = 30
IDLE_SECONDS: Final = 75
LONGEST_ANSWER: Final = int(max(DELAY, PIECES * INTERVAL)) + 1
TURNS: Final = 1000


class KeptConnection(RuleBasedStateMachine):
    """One connection: what was sent, what has arrived, and what was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.application = Numbered()
        self.served = Served(application=self.application)
        self.connection, self.transport = self.served.connection, self.served.transport
        self.under_way: deque[bytes | None] = deque()  # on the network; None is the client's end
        self.reading = True  # the echo reads what is on the network
        self.sent: list[Sent] = []  # complete requests
        self.half: Sent | None = None  # an incomplete request
        self.half_sent = 0  # bytes of it
        self.answered = 0
        self.status, self.got, self.told_close = 0, b"", False  # of the response being read
        self.client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        self.read = 0  # bytes of what the echo wrote
        self.asked_h11 = False  # the client's parser knows the request that is being answered
        self.drained_behind: int | None = None  # the last request accepted before the graceful shutdown
        self.ended_there = self.end_arrived = self.paused = False
        self.paused_at, self.asked_at_pause = 0.0, 0
        self.ends = ""  # why the echo has ended the connection
        self.waits: tuple[str, int] = ("idle", 0)  # for what, after which response
        self.waits_since = self.last_byte = self.served.now

    # actions of the client

    @precondition(lambda self: self.half is None and self.open_there)
    @rule(data=st.data(), count=st.integers(1, 4))
    def send(self, data: st.DataObject, count: int) -> None:
        """Send complete pipelined requests, in one piece or in several."""
        first = self.number
        more = [data.draw(requests(first + place)) for place in range(count)]
        wire = b"".join(each.wire for each in more)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=4)))
        self.sent += more
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
            self._put(wire[start:end])
        self._look()

    @precondition(lambda self: self.half is None and self.open_there)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Send the beginning of a request."""
        self.half = data.draw(requests(self.number))
        self.half_sent = 0
        self._send_more(data.draw(st.integers(1, len(self.half.wire) - 1)))

    @precondition(lambda self: self.half is not None and self.open_there)
    @rule(data=st.data(), whole=st.booleans())
    def go_on(self, data: st.DataObject, *, whole: bool) -> None:
        """Send more of the incomplete request."""
        assert self.half is not None
        left = len(self.half.wire) - self.half_sent
        self._send_more(left if whole else data.draw(st.integers(1, left)))

    @precondition(lambda self: self.half is not None and self.open_there)
    @rule(size=st.integers(1, 3), seconds=st.sampled_from([1, 3, 7]), times=st.integers(2, 12))
    def trickle(self, size: int, seconds: int, times: int) -> None:
        """Send more of it in small pieces, with time between them."""
        for _ in range(times):
            if self.half is not None and not self.transport.ended:
                self._send_more(size)
                self.wait(seconds)

    @precondition(lambda self: self.open_there)
    @rule()
    def end(self) -> None:
        """End the client's side; responses are still read."""
        self.ended_there = True
        self._put(None)
        self._look()

    @precondition(lambda self: self.transport.written and not self.transport.ended)
    @rule()
    def read_or_not(self) -> None:
        """Pause or resume reading responses."""
        self.paused = not self.paused
        if self.paused:
            self.paused_at, self.asked_at_pause = self.served.now, len(self.application.asked)
            self.connection.pause_writing()
        else:
            self.connection.resume_writing()
        self._look()

    # actions of the clock and the operator

    @rule(seconds=st.sampled_from([1, 1, 2, 5, 9, 11, 29, 40, 76]))
    def wait(self, seconds: int) -> None:
        """Advance the clock second by second; check that nothing is written after the end."""
        for _ in range(seconds):
            over = self.transport.ended
            self.transport.did[:] = self.served.after(1)
            if over:
                assert len(self.transport.written) == self.read
                return
            self._look()

    @precondition(lambda self: not self.transport.ended)
    @rule()
    def drain(self) -> None:
        """Begin a graceful shutdown."""
        if self.drained_behind is None:
            self.drained_behind = len(self.application.asked)
        self.served.service.begin_shutdown()
        self._look()

    @precondition(lambda self: self.drained_behind is not None and not self.transport.ended)
    @rule()
    def last_call(self) -> None:
        """Close idle connections."""
        idle = self._state() == "idle"
        self.served.service.close_idle()
        assert self.transport.ended == idle
        self.ends = "the last call" if idle else ""
        self._look()

    # invariants

    @invariant()
    def each_is_asked_once_and_in_order(self) -> None:
        """Check that requests reach the application once and in order, and none while the client does not read."""
        asked = self.application.asked
        assert asked == [each.number for each in self.sent[: len(asked)]]
        assert self.answered <= len(asked)
        assert not self.paused or len(asked) == self.asked_at_pause
        assert not self.served.reports

    @invariant()
    def nothing_waits_that_need_not(self) -> None:
        """Check that everything received is answered if nothing prevents it."""
        if not (self.transport.ended or self.paused or len(self.application.asked) > self.answered):
            assert not self.under_way
            assert self.answered == len(self.sent)
            assert not self.end_arrived

    @invariant()
    def it_ends_for_a_reason(self) -> None:
        """Check that the connection ends exactly if the client, the clock or the operator gave a reason."""
        assert self.transport.ended == bool(self.ends), self.ends

    def teardown(self) -> None:
        """Check that everything is answered at the end, that the connection is closed, and that nothing is left."""
        if self.paused and not self.transport.ended:
            self.read_or_not()
        for _ in range(LONGEST_ANSWER * (len(self.sent) + 1)):
            if self.transport.ended or self.answered == len(self.sent):
                break
            self.wait(1)
        if not self.transport.ended:
            assert self.answered == len(self.sent)
            if not self.ended_there:
                self.end()
            assert self.transport.ended
        self.served.after(LINGER)
        self.connection.connection_lost(None)
        self.served.after(IDLE_SECONDS)
        assert not self.served.service.connections
        assert not self.served.service.memory_budget.used
        assert not self.served.pending()

    # the model

    @property
    def open_there(self) -> bool:
        """Whether the client may send more."""
        return not self.ended_there and not self.transport.ended and len(self.sent) < 30

    @property
    def number(self) -> int:
        """The number of the next request."""
        return len(self.sent) + 1

    def _send_more(self, size: int) -> None:
        assert self.half is not None
        piece = self.half.wire[self.half_sent : self.half_sent + size]
        self.half_sent += len(piece)
        if self.half_sent == len(self.half.wire):
            self.sent.append(self.half)
            self.half = None
        self._put(piece)
        self._look()

    def _put(self, piece: bytes | None) -> None:
        if piece or piece is None:
            self.under_way.append(piece)

    def _look(self) -> None:
        """Deliver what can arrive, in both directions, and record the results."""
        for _ in range(TURNS):
            self._heed()
            if self.under_way and self.reading and not self.transport.ended:
                self._deliver(self.under_way.popleft())
            elif not self.served.turn():
                break
        self._read_answers()
        self._judge()
        if self.transport.ended:
            self._read_refusal()

    def _heed(self) -> None:
        """Pause or resume reading after such calls of the transport."""
        told = [each for each in self.transport.did if each.endswith("_reading")]
        if told:
            self.reading = told[-1] == "resume_reading"
            self.transport.did[:] = [each for each in self.transport.did if each not in told]

    def _deliver(self, piece: bytes | None) -> None:
        if piece is None:
            self.end_arrived = True
            self.connection.eof_received()
        else:
            self.last_byte = self.served.now
            self.connection.data_received(piece)

    def _read_answers(self) -> None:
        written = self.transport.written[self.read :]
        self.read += len(written)
        if written:
            self.client.receive_data(written)
        if self.transport.ended and not self.paused and not self.client.trailing_data[1]:  # else it was dropped
            self.client.receive_data(b"")
        while not self.ends and self.answered < len(self.sent) and self._read_answer(self.sent[self.answered]):
            self.answered += 1

    def _read_answer(self, request: Sent) -> bool:
        """Read a response as far as it has arrived; return whether it is complete."""
        if self.client.trailing_data[0] or self.asked_h11:
            self._ask_h11(request.method)
            while not isinstance(event := self.client.next_event(), type(h11.NEED_DATA) | h11.ConnectionClosed):
                self._take(event)
                if isinstance(event, h11.EndOfMessage):
                    self._take_answer(request)
                    return True
        return False

    def _take(self, event: object) -> None:
        if isinstance(event, h11.InformationalResponse):
            assert event.status_code == 100
        elif isinstance(event, h11.Response):
            self.status, self.got = event.status_code, b""
            self.told_close = (b"connection", b"close") in list(event.headers)
        elif isinstance(event, h11.Data):
            self.got += event.data

    def _ask_h11(self, method: str) -> None:
        if not self.asked_h11:
            if self.client.our_state is h11.DONE:
                self.client.start_next_cycle()
            self.client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
            self.client.send(h11.EndOfMessage())
            self.asked_h11 = True

    def _take_answer(self, request: Sent) -> None:
        self.asked_h11 = False
        assert (self.status, self.got) == (200, request.answer)
        if self.told_close:
            assert request.closes or self.drained_behind is not None
            self.ends = "an answer said so"
        else:
            assert not request.closes
            assert self.drained_behind is None or request.number <= self.drained_behind

    def _read_refusal(self) -> None:
        """Check the data after the last response: nothing, or the 408 of an incomplete request."""
        if self.ends not in {"head", "body"}:
            left = self.client.trailing_data[0]
            assert self.ends == "not read" or not left or (self.half is not None and left == CONTINUE)
            return
        assert self.half is not None
        begun = self.half.wire[: self.half_sent]
        self._ask_h11("HEAD" if begun.startswith(b"HEAD ") else "GET")
        while not isinstance(event := self.client.next_event(), h11.EndOfMessage):
            assert not isinstance(event, type(h11.NEED_DATA) | h11.ConnectionClosed)
            self._take(event)
        assert self.status == 408
        assert self.told_close

    def _state(self) -> str:
        """Return what the echo waits for from the client."""
        if self.paused or self.under_way or self.answered < len(self.sent):
            return ""
        if self.half is None:
            return "idle"
        return "head" if self.half_sent < len(self.half.head) else "body"

    def _judge(self) -> None:
        """Check that the connection has ended, or has not, as the clock requires."""
        if self.ends:
            return
        now, (waits, _) = self.served.now, self.waits
        waited = now - self.waits_since
        due = {
            "not read": self.paused and now - self.paused_at >= BODY_SECONDS,
            "the client's end": self.end_arrived and not self.paused and self.answered == len(self.sent),
            "head": waits == "head" and waited >= HEAD_SECONDS,
            "body": waits == "body" and now - self.last_byte >= BODY_SECONDS,
            "idle": waits == "idle" and waited >= IDLE_SECONDS,
        }
        if self.transport.ended and waits == "body" and waited >= BODY_SECONDS:
            due["body"] = True  # it arrived below the minimum rate
        self.ends = next((why for why, is_so in due.items() if is_so), "")
        state = (self._state(), self.answered)
        if state != self.waits:
            self.waits, self.waits_since = state, now


TestKeptConnection = KeptConnection.TestCase
TestKeptConnection.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)

"""What the carrier tells of its requests and connections, counted and logged."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from app.http.grpc_record import Called
from app.http.record import About, Answered
from app.telemetry.counters import Tally
from app.telemetry.log_writer import Later, Lines
from app.telemetry.metrics import METHODS, OTHER, REFUSAL
from app.telemetry.spans import Spans

# Requests that are counted and logged together: what is done that often in a row takes a third of the time that it
# takes between two answers, when a processor has nothing of it at hand. More would only hold up the one that is next.
_TOGETHER: Final = 64
_LARGE: Final = 4096  # bytes of a head for which that is more memory than it is worth
_SECONDS: Final = 0.05  # for which a request waits for others


class Log(NamedTuple):
    """A log: what gives the lines of requests, and what writes them."""

    of: Callable[[Sequence[Answered]], bytes]
    lines: Lines


class Watch:
    """Watches the connections of one worker: counts into its tally, and writes lines, where there is a log.

    `later` calls back on the loop.
    """

    def __init__(self, tally: Tally, later: Later, log: Log | None = None, spans: Spans | None = None) -> None:
        self.tally = tally
        self._later = later
        self._log = log
        self._spans = spans
        self._answered: list[Answered] = []  # neither counted nor logged yet
        self._awaited = False  # there is a call to come

    def connected(self) -> None:
        """Count a connection."""
        self.tally.connections += 1

    def received(self, size: int) -> None:
        """Count bytes that came."""
        self.tally.received += size

    def sent(self, size: int) -> None:
        """Count bytes that were sent."""
        self.tally.sent += size

    def refused(self, reason: str) -> None:
        """Count a refusal; the reason is a word of ours."""
        self.tally.refused(reason)

    def answered(self, answered: Answered) -> None:
        """Count a request that was answered and log it, soon, and make its span."""
        self._answered.append(answered)
        if self._spans is not None:
            self._spans.record(answered)
        if len(self._answered) >= _TOGETHER or answered.about is None or len(answered.request.head) > _LARGE:
            self.tell()  # where the application was not asked, the line has the time at which it is made
        elif not self._awaited:
            self._awaited = True
            self._later(_SECONDS, self._time_is_come)

    def tell(self) -> None:
        """Count and log what was answered."""
        answered, self._answered = self._answered, []
        count = self.tally.answered
        for each in answered:
            request, about = each.request, each.about
            form = about.form if isinstance(about, About) else REFUSAL
            method = METHODS.get(request.method, OTHER)
            if isinstance(about, Called):
                self.tally.called((about.method, about.ending.code))
            count((method, each.status[0], each.protocol or request.version, form), each.seconds)
        if answered and self._log is not None:
            self._log.lines.put(self._log.of(answered))

    def close(self, seconds: float) -> None:
        """Write what is still to be logged, for so many seconds at most."""
        self.tell()
        if self._log is not None:
            self._log.lines.close(seconds)

    @property
    def dropped(self) -> int:
        """How many lines of the log nobody has read in time."""
        return self._log.lines.dropped if self._log else 0

    def _time_is_come(self) -> None:
        self._awaited = False
        self.tell()

"""HTTP/1.1 client with persistent connections (RFC 9112).

It relies on what the server announces.
"""

import asyncio
import select
from typing import Final

from tests.e2e.load.connecting import SHOWN, Connection, Note
from tests.e2e.load.judging import Again, AgainError, Answer, Fault, LostError, Request

PROTOCOL: Final = "HTTP/1.1"
IDEMPOTENT: Final = frozenset({"PUT"})  # of the methods in use (RFC 9110, 9.2.2)


class Http1(Connection):
    """One connection, with one request at a time."""

    def __init__(self, host: str, note: Note) -> None:
        super().__init__(host, note)
        self._leaving = False
        self._answered = 0
        self._buffer = b""
        self._idempotent = False
        self._answer: asyncio.Future[Answer] | None = None  # the pending one

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: no response had `close`, and no data has arrived since the last one.

        The socket itself is checked as well: data sent to an idle connection may be waiting there (9.6).
        """
        return not (self._leaving or self.ended.is_set() or self.transport.is_closing() or self._something_has_come())

    async def ask(self, request: Request, *, last: bool) -> Answer:
        """Send a request, the `last` one with `Connection: close`; return its response."""
        self._idempotent = request.method in IDEMPOTENT
        self._answer = asyncio.get_running_loop().create_future()
        head = (
            f"{request.method} {request.target} HTTP/1.1\r\nHost: {self.host}\r\nX-Request-Id: {request.id}\r\n"
            f"Accept: application/json\r\nContent-Length: {len(request.body)}\r\n"
        )
        closing = "Connection: close\r\n" if last else ""
        if self.ended.is_set():  # after it was opened
            self.fail(None)
        else:
            self.transport.write(f"{head}{closing}\r\n".encode() + request.body)
        try:
            async with asyncio.timeout(request.patience):
                return await self._answer
        except TimeoutError:
            self.transport.abort()  # later data could be the response to this request
            raise LostError(Fault.TIMED_OUT, f"{request}, {self._buffer[:SHOWN]!r} came") from None
        finally:
            self._answer = None

    def data_received(self, data: bytes) -> None:
        """Receive data of the pending response; report data that belongs to none."""
        if self._answer is None or self._answer.done():
            self._leaving = True
            self.note(Fault.TWICE, f"{data[:SHOWN]!r} came, and nothing was asked")
            return
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        try:
            status, fields = _parsed(head)
            length = int(fields["content-length"])
        except (ValueError, KeyError) as error:
            self._fail_by(LostError(Fault.BROKEN, f"{error!r}: {head[:SHOWN]!r}"))
            return
        if len(rest) < length:
            return
        self._buffer = b""
        self._answered += 1
        self._leaving = self._leaving or "close" in fields.get("connection", "").lower()
        if rest[length:]:
            self._leaving = True
            self.note(Fault.TWICE, f"{rest[length:][:SHOWN]!r} came behind an answer")
        self._answer.set_result(Answer(status, fields.get("x-request-id", ""), rest[:length]))

    def fail(self, error: Exception | None) -> None:
        """Fail the pending request."""
        if self._answer is None or self._answer.done():
            return
        if self._buffer:
            self._fail_by(LostError(Fault.CUT, f"{error or 'closed'}, behind {self._buffer[:SHOWN]!r}"))
        elif self._answered and self._idempotent:
            self._fail_by(AgainError(Again.CLOSED_WHILE_IDLE, f"after {self._answered} answers"))
        else:
            fault = Fault.RESET if error else Fault.CLOSED
            self._fail_by(LostError(fault, f"{error or 'closed'}, after {self._answered} answers"))

    async def close(self) -> None:
        """Close the connection, after the server if that has announced it."""
        if self._leaving or self._something_has_come():
            await self.wait_for_the_end()
        self.transport.close()

    def _something_has_come(self) -> bool:
        """Whether data, or its end, has arrived that the event loop has not delivered yet."""
        if self.transport.is_closing():  # its socket may be closed
            return False
        descriptor = self.transport.get_extra_info("socket").fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def _fail_by(self, error: Exception) -> None:
        self._leaving = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    """Parse the status and headers of a response. Raises `ValueError` if they are invalid."""
    line, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = line.split(" ", 2)
    if version != PROTOCOL:
        raise ValueError(f"the version {version}")
    fields: dict[str, str] = {}
    for each in lines:
        name, colon, value = each.partition(":")
        if not colon or name.lower() in fields:
            raise ValueError(f"the field {each}")
        fields[name.lower()] = value.strip()
    return int(status), fields

"""Echo of a WebSocket's messages, without I/O (RFC 6455).

Frames are parsed and encoded by the sans-I/O layer of `websockets`.
https://websockets.readthedocs.io/en/stable/reference/sansio/server.html
"""

import codecs
from collections.abc import Sequence
from typing import Final

from websockets.extensions import Extension
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import SEND_EOF, Protocol, Side, State

_STEP: Final = 1 << 18  # bytes of messages that are echoed before other connections are served
_FRAME: Final = 512  # bytes of a message whose echo costs as much as the frame itself
_SHORT: Final = 125  # the longest payload whose length is in the second byte (RFC 6455, 5.2)
_LENGTH_BYTES: Final = {126: 2, 127: 8}
_MASKED: Final = 0x80
_OPCODE: Final = 0x0F


class WebSocketEcho:
    """One WebSocket: `receive` its bytes, write what `outgoing` returns. Every message is echoed unchanged.

    Its fragments are echoed one by one: a message is never buffered as a whole. A message longer than `most` bytes
    closes the connection (1009, RFC 6455, 7.4.1). One call does a limited amount of work: while `pending`, `work`
    continues. To process nothing yet, call `take` instead of `receive`.
    """

    def __init__(self, extensions: Sequence[Extension], most: int) -> None:
        self._extensions = extensions
        self._most = most
        self._protocol = self._new_protocol()
        self._out: list[bytes] = []  # output of the previous protocol object
        self.over = False  # both sides have closed, or can't continue; the output so far was the last
        self._rest = bytearray()  # bytes not processed; its beginning is removed without copying the remainder
        self._within_frame = 0  # bytes of the current frame still to come
        self._begun_frame = 0  # bytes of the current frame buffered by the library
        self._within_message = False  # a fragment has arrived that is not the last one
        self._size = 0  # bytes of the current message
        self._text: codecs.IncrementalDecoder | None = None  # of the current text message

    @property
    def pending(self) -> bool:
        """Whether bytes have arrived that wait for `work`."""
        return not self.over and self._next_piece() > 0

    @property
    def held(self) -> int:
        """Bytes buffered of an incomplete frame, or until `work` is called."""
        return len(self._rest) + self._begun_frame

    def greet(self, message: bytes) -> None:
        """Send the first message: as text if it is UTF-8."""
        try:
            message.decode()
        except UnicodeDecodeError:
            self._protocol.send_binary(message)
        else:
            self._protocol.send_text(message)

    def receive(self, data: bytes) -> None:
        """Process bytes from the client, and echo a limited part of them."""
        self.take(data)
        self.work()

    def take(self, data: bytes) -> None:
        """Append bytes from the client; `work` processes them."""
        self._rest += data

    def work(self) -> None:
        """Echo received frames one by one, a limited part of them."""
        done = 0
        while done < _STEP and (size := self._next_piece()):
            piece = self._rest[:size]
            del self._rest[:size]
            self._within_frame -= size
            self._begun_frame = self._begun_frame + size if self._within_frame else 0
            self._protocol.receive_data(piece)
            done += size
            for frame in self._protocol.events_received():
                if isinstance(frame, Frame):
                    self._echo(frame)
                    done += len(frame.data) + _FRAME

    def end(self) -> None:
        """Process EOF from the client."""
        self._protocol.receive_eof()

    def close(self, code: int, reason: str) -> None:
        """Send a Close frame, unless closing has begun."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)

    def outgoing(self) -> bytes:
        """Return the bytes to send."""
        writes = self._out + self._protocol.data_to_send()
        self._out = []
        self.over = self.over or SEND_EOF in writes
        return b"".join(writes)

    def _next_piece(self) -> int:
        """Return the size of the next piece: never beyond a frame's end, so that each frame is echoed before the next.

        Otherwise a Close frame after a message would be answered first, and the message never.
        """
        if not self._within_frame:
            self._within_frame = _frame_size(self._rest)
            if self._within_frame and self._within_message and self._rest[0] & _OPCODE == Opcode.CLOSE:
                self._leave_message()
        return min(self._within_frame, len(self._rest))

    def _new_protocol(self) -> Protocol:
        # More than the limit: incompressible data becomes longer, and the library counts pings within a message, too.
        room = self._most // 16 + 1024
        protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=self._most + room)
        protocol.extensions = list(self._extensions)
        return protocol

    def _leave_message(self) -> None:
        """Make a Close frame within a message acceptable, as every control frame is there (RFC 6455, 5.4).

        The library rejects it there. A new protocol object, which does not know of the message, accepts it, and parses
        nothing after it.
        """
        self._within_message = False
        if self._protocol.state is State.OPEN:
            self._out += self._protocol.data_to_send()
            self._protocol = self._new_protocol()

    def _echo(self, frame: Frame) -> None:
        if self._protocol.state is not State.OPEN:
            return  # nothing is sent after a Close frame (RFC 6455, 5.5.1)
        if frame.opcode is Opcode.TEXT:
            self._text, self._size = codecs.getincrementaldecoder("utf-8")(), 0
        elif frame.opcode is Opcode.BINARY:
            self._text, self._size = None, 0
        elif frame.opcode is not Opcode.CONT:
            return  # the library responds to Ping and Close; a Pong needs no response
        self._within_message = not frame.fin
        self._size += len(frame.data)
        if self._size > self._most:
            self._protocol.fail(CloseCode.MESSAGE_TOO_BIG, f"message exceeds {self._most} bytes (ECHO_MAX_MESSAGE)")
        elif self._text is not None and not _goes_on_in_utf8(self._text, frame):
            self._protocol.fail(CloseCode.INVALID_DATA, "invalid UTF-8 in a text message")  # RFC 6455, 8.1
        else:
            _SEND[frame.opcode](self._protocol, frame.data, frame.fin)


_SEND: Final = {
    Opcode.TEXT: Protocol.send_text,
    Opcode.BINARY: Protocol.send_binary,
    Opcode.CONT: Protocol.send_continuation,
}


def _goes_on_in_utf8(text: codecs.IncrementalDecoder, frame: Frame) -> bool:
    """Return whether a text message can still become valid UTF-8 with this fragment."""
    try:
        text.decode(frame.data, frame.fin)
    except UnicodeDecodeError:
        return False
    begun = text.getstate()[0]
    # Python waits for the third byte of a surrogate, which the second byte has already made invalid (RFC 3629, 4).
    return not (begun[:1] == b"\xed" and begun[1:] >= b"\xa0")


def _frame_size(data: bytearray) -> int:
    """Return the size of the frame that begins here (RFC 6455, 5.2), or 0 if its header is incomplete."""
    if len(data) < 2:  # noqa: PLR2004 - flags and opcode, mask and length
        return 0
    length = data[1] & ~_MASKED
    extended = _LENGTH_BYTES.get(length, 0)
    head = 2 + extended + (4 if data[1] & _MASKED else 0)
    if len(data) < 2 + extended:
        return 0
    return head + (int.from_bytes(data[2 : 2 + extended]) if length > _SHORT else length)

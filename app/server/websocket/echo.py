"""An echo of every frame of a WebSocket, without I/O (RFC 6455).

The frames are read and written by the sans-I/O layer of `websockets`.
https://websockets.readthedocs.io/en/stable/reference/sansio/server.html
"""

import codecs
from collections.abc import Sequence
from typing import Final

from websockets.extensions import Extension
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import SEND_EOF, Protocol, Side, State

_STEP: Final = 1 << 18  # bytes of messages that are echoed before others are served
_FRAME: Final = 512  # bytes of a message whose echo costs as much as a frame does by itself
_SHORT: Final = 125  # the longest payload whose length is in the second byte (RFC 6455, 5.2)
_LENGTH_BYTES: Final = {126: 2, 127: 8}
_MASKED: Final = 0x80
_OPCODE: Final = 0x0F


class WebSocketEcho:
    """One WebSocket: `receive` its bytes, write what `outgoing` gives. Every message comes back as it was.

    So do its fragments, one by one: a message is never held whole. At most `most` bytes of it are taken (1009, RFC
    6455, 7.4.1). Only a bounded part is done at once: while `pending`, `work` does more. Who must not do any of it now
    `take`s only.
    """

    def __init__(self, extensions: Sequence[Extension], most: int) -> None:
        self._extensions = extensions
        self._most = most
        self._protocol = self._new_protocol()
        self._out: list[bytes] = []  # of a protocol before
        self.over = False  # both sides have said all, or can't go on; what was outgoing was the last of it
        self._rest = bytearray()  # what has come and waits; its beginning is cut off without copying the rest
        self._within_frame = 0  # bytes of the frame under way still to come
        self._begun_frame = 0  # bytes of the frame under way that the library keeps
        self._within_message = False  # a fragment has come, and not the last one
        self._size = 0  # bytes of the message under way
        self._text: codecs.IncrementalDecoder | None = None  # of a text message under way

    @property
    def pending(self) -> bool:
        """Whether bytes have come that wait for `work`."""
        return not self.over and self._next_piece() > 0

    @property
    def held(self) -> int:
        """How many bytes wait for the rest of their frame, or for `work`."""
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
        """Take bytes that the client sent, and echo a bounded part of them."""
        self.take(data)
        self.work()

    def take(self, data: bytes) -> None:
        """Take bytes that the client sent; they wait for `work`."""
        self._rest += data

    def work(self) -> None:
        """Echo what has come, frame by frame, a bounded part of it."""
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
        """Take the end of what the client sends."""
        self._protocol.receive_eof()

    def close(self, code: int, reason: str) -> None:
        """Begin to close, unless that has begun."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)

    def outgoing(self) -> bytes:
        """Give what is to be sent."""
        writes = self._out + self._protocol.data_to_send()
        self._out = []
        self.over = self.over or SEND_EOF in writes
        return b"".join(writes)

    def _next_piece(self) -> int:
        """Give how many bytes are next: never beyond a frame's end, so that it is echoed before the next one is read.

        A Close frame behind a message would else be answered first, and the message never.
        """
        if not self._within_frame:
            self._within_frame = _frame_size(self._rest)
            if self._within_frame and self._within_message and self._rest[0] & _OPCODE == Opcode.CLOSE:
                self._leave_message()
        return min(self._within_frame, len(self._rest))

    def _new_protocol(self) -> Protocol:
        # More than is taken: what does not compress becomes longer, and the library counts pings within a message, too.
        room = self._most // 16 + 1024
        protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=self._most + room)
        protocol.extensions = list(self._extensions)
        return protocol

    def _leave_message(self) -> None:
        """Let a Close frame come within a message, as every control frame may (RFC 6455, 5.4).

        The library refuses it there; one that knows nothing of the message does not, and reads nothing behind it.
        """
        self._within_message = False
        if self._protocol.state is State.OPEN:
            self._out += self._protocol.data_to_send()
            self._protocol = self._new_protocol()

    def _echo(self, frame: Frame) -> None:
        if self._protocol.state is not State.OPEN:
            return  # nothing is sent behind a Close frame (RFC 6455, 5.5.1)
        if frame.opcode is Opcode.TEXT:
            self._text, self._size = codecs.getincrementaldecoder("utf-8")(), 0
        elif frame.opcode is Opcode.BINARY:
            self._text, self._size = None, 0
        elif frame.opcode is not Opcode.CONT:
            return  # Ping and Close are answered by the protocol, a Pong needs no answer
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
    """Tell whether a text message can still become UTF-8 with this fragment."""
    try:
        text.decode(frame.data, frame.fin)
    except UnicodeDecodeError:
        return False
    begun = text.getstate()[0]
    # Python waits for a surrogate's third byte to see what the second one has decided (RFC 3629, 4).
    return not (begun[:1] == b"\xed" and begun[1:] >= b"\xa0")


def _frame_size(data: bytearray) -> int:
    """Give the bytes of the frame that begins here (RFC 6455, 5.2), or 0 while its head is not whole."""
    if len(data) < 2:  # noqa: PLR2004 - flags and opcode, mask and length
        return 0
    length = data[1] & ~_MASKED
    extended = _LENGTH_BYTES.get(length, 0)
    head = 2 + extended + (4 if data[1] & _MASKED else 0)
    if len(data) < 2 + extended:
        return 0
    return head + (int.from_bytes(data[2 : 2 + extended]) if length > _SHORT else length)

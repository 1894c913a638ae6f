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

_STEP_BYTES: Final = 1 << 18  # bytes of messages that are echoed before other connections are served
_FRAME_COST: Final = 512  # bytes of a message whose echo costs as much as the frame itself
_MAX_SHORT_LENGTH: Final = 125  # the longest payload whose length is in the second byte (RFC 6455, 5.2)
_LENGTH_BYTES: Final = {126: 2, 127: 8}
_MASKED: Final = 0x80
_OPCODE: Final = 0x0F


class WebSocketEcho:
    """One WebSocket: `echo_input` its bytes, write what `data_to_send` returns. Every message is echoed unchanged.

    Its fragments are echoed one by one: a message is never buffered as a whole. A message longer than
    `max_message_size` bytes closes the connection (1009, RFC 6455, 7.4.1). One call does a limited amount of work:
    while `has_pending_input`, `echo_buffered` continues. To process nothing yet, call `buffer_input` instead of
    `echo_input`.
    """

    def __init__(self, extensions: Sequence[Extension], max_message_size: int) -> None:
        self._extensions = extensions
        self._max_message_size = max_message_size
        self._protocol = self._new_protocol()
        self._earlier_output: list[bytes] = []  # output of the previous protocol object
        self.is_finished = False  # both sides have closed, or can't continue; the output so far was the last
        self._input = bytearray()  # bytes not processed; its beginning is removed without copying the remainder
        self._frame_remaining = 0  # bytes of the current frame still to come
        self._partial_frame_bytes = 0  # bytes of the current frame buffered by the library
        self._is_within_message = False  # a fragment has arrived that is not the last one
        self._message_size = 0  # bytes of the current message
        self._utf8_decoder: codecs.IncrementalDecoder | None = None  # of the current text message

    @property
    def has_pending_input(self) -> bool:
        """Whether bytes have arrived that wait for `echo_buffered`."""
        return not self.is_finished and self._next_piece_size() > 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes buffered of an incomplete frame, or until `echo_buffered` is called."""
        return len(self._input) + self._partial_frame_bytes

    def send_first_message(self, message: bytes) -> None:
        """Send the first message: as text if it is UTF-8."""
        try:
            message.decode()
        except UnicodeDecodeError:
            self._protocol.send_binary(message)
        else:
            self._protocol.send_text(message)

    def echo_input(self, data: bytes) -> None:
        """Process bytes from the client, and echo a limited part of them."""
        self.buffer_input(data)
        self.echo_buffered()

    def buffer_input(self, data: bytes) -> None:
        """Append bytes from the client; `echo_buffered` processes them."""
        self._input += data

    def echo_buffered(self) -> None:
        """Echo received frames one by one, a limited part of them."""
        cost = 0
        while cost < _STEP_BYTES and (size := self._next_piece_size()):
            piece = self._input[:size]
            del self._input[:size]
            self._frame_remaining -= size
            self._partial_frame_bytes = self._partial_frame_bytes + size if self._frame_remaining else 0
            self._protocol.receive_data(piece)
            cost += size
            for frame in self._protocol.events_received():
                if isinstance(frame, Frame):
                    self._echo_frame(frame)
                    cost += len(frame.data) + _FRAME_COST

    def receive_eof(self) -> None:
        """Process EOF from the client."""
        self._protocol.receive_eof()

    def send_close(self, code: int, reason: str) -> None:
        """Send a Close frame, unless closing has begun."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)

    def data_to_send(self) -> bytes:
        """Return the bytes to send."""
        writes = self._earlier_output + self._protocol.data_to_send()
        self._earlier_output = []
        self.is_finished = self.is_finished or SEND_EOF in writes
        return b"".join(writes)

    def _next_piece_size(self) -> int:
        """Return the size of the next piece: never beyond a frame's end, so that each frame is echoed before the next.

        Otherwise a Close frame after a message would be answered first, and the message never.
        """
        if not self._frame_remaining:
            self._frame_remaining = _frame_size(self._input)
            if self._frame_remaining and self._is_within_message and self._input[0] & _OPCODE == Opcode.CLOSE:
                self._abandon_message()
        return min(self._frame_remaining, len(self._input))

    def _new_protocol(self) -> Protocol:
        # More than the limit: incompressible data becomes longer, and the library counts pings within a message, too.
        margin = self._max_message_size // 16 + 1024
        protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=self._max_message_size + margin)
        protocol.extensions = list(self._extensions)
        return protocol

    def _abandon_message(self) -> None:
        """Make a Close frame within a message acceptable, as every control frame is there (RFC 6455, 5.4).

        The library rejects it there. A new protocol object, which does not know of the message, accepts it, and parses
        nothing after it.
        """
        self._is_within_message = False
        if self._protocol.state is State.OPEN:
            self._earlier_output += self._protocol.data_to_send()
            self._protocol = self._new_protocol()

    def _echo_frame(self, frame: Frame) -> None:
        if self._protocol.state is not State.OPEN:
            return  # nothing is sent after a Close frame (RFC 6455, 5.5.1)
        if frame.opcode is Opcode.TEXT:
            self._utf8_decoder, self._message_size = codecs.getincrementaldecoder("utf-8")(), 0
        elif frame.opcode is Opcode.BINARY:
            self._utf8_decoder, self._message_size = None, 0
        elif frame.opcode is not Opcode.CONT:
            return  # the library responds to Ping and Close; a Pong needs no response
        self._is_within_message = not frame.fin
        self._message_size += len(frame.data)
        if self._message_size > self._max_message_size:
            self._protocol.fail(
                CloseCode.MESSAGE_TOO_BIG, f"message exceeds {self._max_message_size} bytes (ECHO_MAX_MESSAGE)"
            )
        elif self._utf8_decoder is not None and not _is_utf8_so_far(self._utf8_decoder, frame):
            self._protocol.fail(CloseCode.INVALID_DATA, "invalid UTF-8 in a text message")  # RFC 6455, 8.1
        else:
            _SEND_BY_OPCODE[frame.opcode](self._protocol, frame.data, frame.fin)


_SEND_BY_OPCODE: Final = {
    Opcode.TEXT: Protocol.send_text,
    Opcode.BINARY: Protocol.send_binary,
    Opcode.CONT: Protocol.send_continuation,
}


def _is_utf8_so_far(decoder: codecs.IncrementalDecoder, frame: Frame) -> bool:
    """Return whether a text message can still become valid UTF-8 with this fragment."""
    try:
        decoder.decode(frame.data, frame.fin)
    except UnicodeDecodeError:
        return False
    incomplete = decoder.getstate()[0]
    # Python waits for the third byte of a surrogate, which the second byte has already made invalid (RFC 3629, 4).
    return not (incomplete[:1] == b"\xed" and incomplete[1:] >= b"\xa0")


def _frame_size(data: bytearray) -> int:
    """Return the size of the frame that begins here (RFC 6455, 5.2), or 0 if its header is incomplete."""
    if len(data) < 2:  # noqa: PLR2004 - flags and opcode, mask and length
        return 0
    length = data[1] & ~_MASKED
    extended_size = _LENGTH_BYTES.get(length, 0)
    header_size = 2 + extended_size + (4 if data[1] & _MASKED else 0)
    if len(data) < 2 + extended_size:
        return 0
    return header_size + (int.from_bytes(data[2 : 2 + extended_size]) if length > _MAX_SHORT_LENGTH else length)

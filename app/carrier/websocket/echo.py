"""WebSocket without I/O: the handshake's answer, and an echo of every frame (RFC 6455; over HTTP/2, RFC 8441).

The frames are read and written by the sans-I/O layer of `websockets`.
https://websockets.readthedocs.io/en/stable/reference/sansio/server.html
"""

import codecs
import zlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from websockets import exceptions
from websockets.datastructures import Headers
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, Protocol, Side, State
from websockets.server import ServerProtocol
from websockets.typing import ExtensionParameter, Subprotocol

from app.carrier.errors import ProtocolError, bad_request
from app.carrier.response import Response
from app.wire import WireRequest

_VERSION: Final = "13"  # RFC 6455, 4.1
_EXCERPT: Final = 200  # characters of what was wrong with a handshake that are shown
_STEP: Final = 1 << 18  # bytes of messages that are echoed before others are served
_FRAME: Final = 512  # bytes of a message whose echo costs as much as a frame does by itself
_SHORT: Final = 125  # the longest payload whose length is in the second byte (RFC 6455, 5.2)
_LENGTH_BYTES: Final = {126: 2, 127: 8}
_MASKED: Final = 0x80
_OPCODE: Final = 0x0F
_TAIL: Final = b"\x00\x00\xff\xff"  # what a compressed message ends with, and is not sent (RFC 7692, 7.2.1)


class Accepted(msgspec.Struct, frozen=True):
    """A handshake that is accepted: its answer, and the extensions that were agreed on."""

    response: Response
    extensions: Sequence[Extension]


class UnknownVersionError(ProtocolError):
    """Another version than the one that is spoken here: the answer's `fields` say which one that is."""

    def __init__(self, version: str) -> None:
        super().__init__(HTTPStatus.UPGRADE_REQUIRED, f"WebSocket's version {_VERSION} is spoken here, not {version}")
        # RFC 6455, 4.2.2 and 4.4; RFC 9110, 15.5.22
        self.fields = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", _VERSION))


def accept(request: WireRequest) -> Accepted:
    """Give the answer to an opening handshake by HTTP/1.1 that asks for WebSocket (RFC 6455, 4.2).

    Raises `ProtocolError` for one that can't be accepted, with what was wrong.
    """
    if request.method != b"GET":  # RFC 6455, 4.2.1; not 405: any method is answered that asks for no WebSocket
        raise bad_request("not a WebSocket handshake: its method is GET")
    protocol, headers = _negotiator(), _headers(request)
    _check_version(headers)
    # That was seen before (RFC 9110, 7.8), and the library takes no list of protocols.
    for name in ("Connection", "Upgrade"):
        del headers[name]
    headers["Connection"], headers["Upgrade"] = "Upgrade", "websocket"
    answer = protocol.accept(Request("/", headers))
    if answer.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        raise _not_a_handshake(protocol.handshake_exc)
    fields = [(name, value) for name, value in answer.headers.raw_items() if name not in {"Date", "Connection"}]
    return Accepted(Response("101 Switching Protocols", fields, b""), protocol.extensions)


def accept_extended_connect(request: WireRequest) -> Accepted:
    """Give the answer to an opening handshake by HTTP/2 (RFC 8441, 5), which has no key. Raises `ProtocolError`."""
    protocol, headers = _negotiator(), _headers(request)
    _check_version(headers)
    try:
        agreed, extensions = protocol.process_extensions(headers)
        subprotocol = protocol.process_subprotocol(headers)
    except exceptions.InvalidHandshake as error:
        raise _not_a_handshake(error) from error
    offered = (("sec-websocket-extensions", agreed), ("sec-websocket-protocol", subprotocol))
    return Accepted(Response("200 OK", [(name, value) for name, value in offered if value], b""), extensions)


def _negotiator() -> ServerProtocol:
    return ServerProtocol(extensions=[_DeflateFactory()], select_subprotocol=_first)


def _first(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Take what the client would like best: a browser fails a connection when none of its subprotocols is taken."""
    return next(iter(offered), None)


def _headers(request: WireRequest) -> Headers:
    return Headers((name.decode("ascii"), value.decode("latin-1")) for name, value in request.fields)


def _check_version(headers: Headers) -> None:
    versions = headers.get_all("Sec-WebSocket-Version")
    if len(versions) != 1:
        raise bad_request(f"not a WebSocket handshake: {len(versions)} Sec-WebSocket-Version fields")
    if versions[0] != _VERSION:
        raise UnknownVersionError(ascii(versions[0][:_EXCERPT]))


def _not_a_handshake(error: Exception | None) -> ProtocolError:
    return bad_request(f"not a WebSocket handshake: {error}"[:_EXCERPT])


class _DeflateFactory(ServerPerMessageDeflateFactory):
    """Agrees on `permessage-deflate` (RFC 7692).

    Windows of 4 KiB instead of 32, and as little beside them, cost a tenth of the memory: it is held for as long as a
    WebSocket lives. The echo compresses fast rather than well.
    """

    def __init__(self) -> None:
        super().__init__(
            server_max_window_bits=12, client_max_window_bits=12, compress_settings={"level": 1, "memLevel": 5}
        )

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        agreed, extension = super().process_request_params(params, accepted_extensions)
        return agreed, _Deflate(
            extension.remote_no_context_takeover,
            extension.local_no_context_takeover,
            extension.remote_max_window_bits,
            extension.local_max_window_bits,
            extension.compress_settings,
        )


class _Deflate(PerMessageDeflate):
    """Undoes compression within bounds.

    The library's own passes over what comes behind a final block, and keeps it in memory for as long as the connection
    lives; RFC 7692, 7.2.3.4 lets a message end with such a block.
    """

    _compressed = False  # the message under way
    _ended = False  # it had a final block

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Give the frame as it was before it was compressed, of at most `max_size` bytes, which is always set."""
        if frame.opcode >= Opcode.CLOSE:
            return frame  # control frames are never compressed (RFC 7692, 6.1)
        if frame.opcode is not Opcode.CONT:
            self._compressed = frame.rsv1
            if self._ended or self.remote_no_context_takeover:
                self._begin()
        elif frame.rsv1:
            raise exceptions.ProtocolError("RSV1 bit set in continuation frame")  # RFC 7692, 6.1
        if not self._compressed:
            return frame
        data = self._inflated(bytes(frame.data) + (_TAIL if frame.fin else b""), max_size or 0)
        return Frame(frame.opcode, data, frame.fin, rsv2=frame.rsv2, rsv3=frame.rsv3)

    def _begin(self) -> None:
        self.decoder = zlib.decompressobj(wbits=-self.remote_max_window_bits)
        self._ended = False

    def _inflated(self, data: bytes, most: int) -> bytes:
        try:
            inflated = self._piece(data, most)
            if self.decoder.eof:
                left = self.decoder.unused_data
                self._begin()
                self._ended = True
                inflated += self._piece(left, most - len(inflated))
        except zlib.error as error:
            raise exceptions.ProtocolError("decompression failed") from error
        if self.decoder.eof:  # each costs a copy of what is behind it
            raise exceptions.ProtocolError("more than one final block in a frame")
        return inflated

    def _piece(self, data: bytes, most: int) -> bytes:
        piece = self.decoder.decompress(data, most + 1)  # 0 would be no limit
        if len(piece) > most:
            raise exceptions.PayloadTooBig(None, most)
        return piece


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
        self._within_message = False  # a fragment has come, and not the last one
        self._size = 0  # bytes of the message under way
        self._text: codecs.IncrementalDecoder | None = None  # of a text message under way

    @property
    def pending(self) -> bool:
        """Whether bytes have come that wait for `work`."""
        return not self.over and self._next_piece() > 0

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
            self._protocol.fail(CloseCode.MESSAGE_TOO_BIG, f"a message above {self._most} bytes")
        elif self._text is not None and not _goes_on_in_utf8(self._text, frame):
            self._protocol.fail(CloseCode.INVALID_DATA, "a text message that is not UTF-8")  # RFC 6455, 8.1
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

"""The compression of WebSocket's messages, in bounds (RFC 7692)."""

import zlib
from collections.abc import Sequence
from typing import Final

from websockets import exceptions
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionParameter

_TAIL: Final = b"\x00\x00\xff\xff"  # what a compressed message ends with, and is not sent (RFC 7692, 7.2.1)


class DeflateFactory(ServerPerMessageDeflateFactory):
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
        """Give the parameters that are agreed on, and the compression by them; called by the library."""
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

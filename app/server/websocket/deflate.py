"""WebSocket message compression with limited memory (RFC 7692)."""

import zlib
from collections.abc import Sequence
from typing import Final

from websockets import exceptions
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionParameter

_TAIL: Final = b"\x00\x00\xff\xff"  # end of a compressed message, which is not sent (RFC 7692, 7.2.1)


class DeflateFactory(ServerPerMessageDeflateFactory):
    """Negotiates `permessage-deflate` (RFC 7692).

    Windows of 4 KiB instead of 32, with a small memory level, take a tenth of the memory, which is occupied for as long
    as a WebSocket lives. Compression is fast rather than good.
    """

    def __init__(self) -> None:
        super().__init__(
            server_max_window_bits=12, client_max_window_bits=12, compress_settings={"level": 1, "memLevel": 5}
        )

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Return the negotiated parameters and the extension that applies them; called by the library."""
        accepted_params, extension = super().process_request_params(params, accepted_extensions)
        return accepted_params, _BoundedDeflate(
            extension.remote_no_context_takeover,
            extension.local_no_context_takeover,
            extension.remote_max_window_bits,
            extension.local_max_window_bits,
            extension.compress_settings,
        )


class _BoundedDeflate(PerMessageDeflate):
    """Decompresses messages within a limit.

    The library's own extension ignores data after a final block, and keeps it in memory for as long as the connection
    lives. RFC 7692, 7.2.3.4 allows a message to end with such a block.
    """

    _message_compressed = False  # the current message
    _saw_final_block = False  # it had a final block

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Return the decompressed frame, of at most `max_size` bytes, which is always set."""
        if frame.opcode >= Opcode.CLOSE:
            return frame  # control frames are never compressed (RFC 7692, 6.1)
        if frame.opcode is not Opcode.CONT:
            self._message_compressed = frame.rsv1
            if self._saw_final_block or self.remote_no_context_takeover:
                self._reset_decoder()
        elif frame.rsv1:
            raise exceptions.ProtocolError("RSV1 bit set in continuation frame")  # RFC 7692, 6.1
        if not self._message_compressed:
            return frame
        data = self._inflate(bytes(frame.data) + (_TAIL if frame.fin else b""), max_size or 0)
        return Frame(frame.opcode, data, frame.fin, rsv2=frame.rsv2, rsv3=frame.rsv3)

    def _reset_decoder(self) -> None:
        self.decoder = zlib.decompressobj(wbits=-self.remote_max_window_bits)
        self._saw_final_block = False

    def _inflate(self, data: bytes, limit: int) -> bytes:
        try:
            inflated = self._inflate_piece(data, limit)
            if self.decoder.eof:
                unused = self.decoder.unused_data
                self._reset_decoder()
                self._saw_final_block = True
                inflated += self._inflate_piece(unused, limit - len(inflated))
        except zlib.error as error:
            raise exceptions.ProtocolError("decompression failed") from error
        if self.decoder.eof:  # each costs a copy of the data after it
            raise exceptions.ProtocolError("more than one final block in a frame")
        return inflated

    def _inflate_piece(self, data: bytes, limit: int) -> bytes:
        piece = self.decoder.decompress(data, limit + 1)  # 0 would be no limit
        if len(piece) > limit:
            raise exceptions.PayloadTooBig(None, limit)
        return piece

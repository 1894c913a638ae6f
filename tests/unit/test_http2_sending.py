"""The output buffer of an HTTP/2 connection, and its header compression."""

import hpack
import pytest

from app.server.http2.frame_writer import FrameWriter
from tests.unit.written import written_frames

FIELDS = ((b":status", b"200"), (b"x-a", b"1"))


def block(sending: FrameWriter) -> bytes:
    """Return the next header block."""
    sending.append_header_block(1, FIELDS, end_stream=True)
    (frame,) = written_frames(sending.pop_bytes())
    return frame.payload


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ([], b""),
        ([4096], b""),
        ([1 << 31], b""),
        ([0], b"\x20"),
        ([100, 0], b"\x20"),
        ([0, 100], b"\x20\x3f\x45"),
        ([0, 4096] * 5000, b"\x20\x3f\xe1\x1f"),
    ],
)
def test_a_head_tells_the_smallest_and_the_last_size_of_the_table(sizes: list[int], told: bytes) -> None:
    """A head announces the smallest and the last table size (RFC 7541, 4.2).

    However often the size changed, a conforming client decodes this head and the next.
    """
    sending, decoder = FrameWriter(), hpack.Decoder()
    before = block(sending)
    decoder.decode(before)
    for size in sizes:
        sending.resize_table(size)
    after = block(sending)
    assert after.startswith(told)
    assert len(after) <= len(told) + len(before)
    for each in (after, block(sending)):
        assert tuple(decoder.decode(each, raw=True)) == FIELDS
    assert sending.buffered_bytes == 0

"""Header compression and its caches, compared with other codecs."""

import sys
from collections.abc import Iterator
from typing import Any

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.request import HeaderList
from app.server.http2 import frames
from app.server.http2.frame_writer import FrameWriter
from app.server.http2.frames import Frame
from app.server.http2.header_blocks import HeaderBlockReader
from app.server.limits import RequestLimits
from tests.unit.written import written_frames

NAMES = st.sampled_from((b":status", b"date", b"x-a", b"x-b", b"x-request-id", b"content-length"))
VALUES = st.sampled_from((b"", b"200", b"a", b"b" * 40, b"c" * 4000, b"d" * 5000, "ü".encode()))
LISTS = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(tuple)
SIZES = st.sampled_from((0, 32, 50, 100, 4096))
STEPS = st.lists(st.sampled_from(range(3)) | SIZES.map(lambda size: ("size", size)), min_size=1, max_size=20)


@given(lists=st.tuples(LISTS, LISTS, LISTS), steps=STEPS)
def test_heads_that_are_sent_mean_what_was_said(lists: tuple[HeaderList, ...], steps: list[Any]) -> None:
    """Header blocks decode to what was sent, in any order and number.

    The client may change the table size meanwhile.
    """
    sending, decoder = FrameWriter(), hpack.Decoder(max_header_list_size=1 << 20)
    for step in steps:
        if isinstance(step, tuple):
            sending.resize_table(step[1])
            continue
        sending.append_header_block(1, lists[step], end_stream=False)
        assert tuple(decoder.decode(_block(sending.pop_bytes()), raw=True)) == lists[step]


@given(lists=st.tuples(LISTS, LISTS, LISTS), steps=STEPS)
def test_heads_that_come_are_read_as_they_were_meant(lists: tuple[HeaderList, ...], steps: list[Any]) -> None:
    """Header blocks decode correctly although the same bytes may mean something else after the table has changed."""
    encoder, reader = (
        hpack.Encoder(),
        HeaderBlockReader(RequestLimits(head_size=1 << 16, header_count=100, body_size=0)),
    )
    for step in steps:
        if isinstance(step, tuple):
            if step[1] != encoder.header_table_size:  # the library would not send the size update
                encoder.header_table_size = step[1]
                encoder.table_size_changes = encoder.table_size_changes[-1:]
            continue
        frame = Frame(frames.HEADERS, frames.END_HEADERS, 1, encoder.encode(lists[step]))
        block = reader.start_block(frame)
        assert block is not None
        assert (block.first_frame, block.headers) == (frame, lists[step])
        assert block.size == sum(len(name) + len(value) + 32 for name, value in lists[step])


def test_the_same_bytes_mean_another_field_once_the_table_has_changed() -> None:
    """Cached blocks are discarded when the table changes."""
    encoder, reader = (
        hpack.Encoder(),
        HeaderBlockReader(RequestLimits(head_size=1 << 16, header_count=100, body_size=0)),
    )

    def read(block: bytes) -> HeaderList:
        found = reader.start_block(Frame(frames.HEADERS, frames.END_HEADERS, 1, block))
        assert found is not None
        return found.headers

    read(encoder.encode([(b"x-a", b"1")]))
    newest = encoder.encode([(b"x-a", b"1")])
    assert [read(newest), read(newest)] == [((b"x-a", b"1"),)] * 2
    read(encoder.encode([(b"x-b", b"2")]))
    assert read(newest) == ((b"x-b", b"2"),)


@pytest.mark.parametrize(
    "fields", [[(b"x-a", b"\xff" * 1800)], [(b"x-a", bytes((0x61 + at,))) for at in range(25)] * 2]
)
def test_a_connection_remembers_no_large_block(fields: list[tuple[bytes, bytes]]) -> None:
    """Large blocks are not cached, because there may be thousands of idle connections."""
    encoder, reader = (
        hpack.Encoder(),
        HeaderBlockReader(RequestLimits(head_size=1 << 16, header_count=100, body_size=0)),
    )
    encoder.header_table_size = 0
    before = sum(map(sys.getsizeof, _within(reader)))
    for _ in range(3):
        reader.start_block(Frame(frames.HEADERS, frames.END_HEADERS, 1, encoder.encode(fields)))
    assert sum(map(sys.getsizeof, _within(reader))) < before + 500


def _within(reader: HeaderBlockReader) -> Iterator[object]:
    """Yield what a block reader holds, except the table."""
    for name, value in vars(reader).items():
        if name != "_decoder":
            yield value
            if isinstance(value, tuple):
                yield from (part for each in value if isinstance(each, tuple) for part in (each, *each))


def test_a_field_behind_what_changes_moves_the_others() -> None:
    """The cached start of a head is encoded again when a header after the request ID changes."""
    sending, decoder = FrameWriter(), hpack.Decoder()
    for behind in (b"1", b"1", b"1", b"2", b"1", b"3", b"3"):
        fields = ((b"x-a", b"b"), (b"x-request-id", b"c"), (b"x-b", behind))
        sending.append_header_block(1, fields, end_stream=True)
        assert tuple(decoder.decode(_block(sending.pop_bytes()), raw=True)) == fields


def test_what_changes_with_each_answer_leaves_the_table_alone() -> None:
    """Values that change with each response are not added to the table.

    They would evict repeated headers, and no head would have the same bytes as the one before.
    """
    sending = FrameWriter()
    blocks = []
    for number in range(100):
        fields = ((b":status", b"200"), (b"x-a", b"b"), (b"x-request-id", b"%032d" % number))
        sending.append_header_block(1, (*fields, (b"content-length", b"%d" % number)), end_stream=True)
        blocks.append(_block(sending.pop_bytes()))
    assert len({block[:2] for block in blocks[1:]}) == 1, "two fields of the table, by their places"
    assert all(b"%032d" % number in block for number, block in enumerate(blocks))


def _block(sent: bytes) -> bytes:
    """Return the header block in the frames."""
    return b"".join(frame.payload for frame in written_frames(sent))

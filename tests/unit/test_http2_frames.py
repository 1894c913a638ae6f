"""HTTP/2 bytes cut into frames: the same for every delivery."""

from hypothesis import given
from hypothesis import strategies as st

from app.server.http2 import frames
from app.server.http2.frames import Frame, FrameReader

SIZES = st.lists(st.integers(0, 40) | st.integers(0, frames.MAX_PAYLOAD_SIZE), min_size=1, max_size=12)
# How many bytes arrive at once, and how many frames are requested before the next ones: none if reading is blocked.
STEPS = st.lists(st.tuples(st.integers(1, 60) | st.integers(1, 100_000), st.integers(0, 20)), min_size=1)


def sent(sizes: list[int]) -> list[Frame]:
    """Return frames with payloads of these sizes, no two alike."""
    payloads = [bytes([number]) * size for number, size in enumerate(sizes)]
    return [Frame(frames.DATA, number % 2, 2 * number + 1, payload) for number, payload in enumerate(payloads)]


@given(SIZES, STEPS)
def test_frames_are_the_same_however_they_come(sizes: list[int], steps: list[tuple[int, int]]) -> None:
    """Frames are the same in pieces of any size, read at once or later.

    Received bytes are counted as held until they are read, and none are at the end.
    """
    frames_ = sent(sizes)
    wire = b"".join(frames.encode(*each) for each in frames_)
    reader, came, at, turn = FrameReader(), list[Frame](), 0, 0
    while at < len(wire):
        size, asked = steps[turn % len(steps)]
        reader.feed_bytes(wire[at : at + size])
        at, turn = min(at + size, len(wire)), turn + 1
        taken = sum(frames.FRAME_HEADER_SIZE + len(each.payload) for each in came)
        assert at - taken <= reader.buffered_bytes
        for _ in range(asked):
            frame = reader.next_frame()
            if frame is None:
                break
            came.append(frame)
    came += iter(reader.next_frame, None)
    assert came == frames_
    assert (reader.buffered_bytes, reader.has_partial_frame) == (0, False)


def test_a_frame_that_has_begun_is_told_with_what_came_of_it() -> None:
    """The received part of an incomplete DATA frame is reported, because the timeout of its body depends on it."""
    reader = FrameReader()
    data = frames.encode(frames.DATA, 0, 1, bytes(1000))
    reader.feed_bytes(data[:100])
    assert (reader.next_frame(), reader.partial_data) == (None, (1, 91))
    reader.feed_bytes(data[100:] + data[:9] + b"x")
    assert reader.next_frame() == Frame(frames.DATA, 0, 1, bytes(1000))
    assert (reader.next_frame(), reader.partial_data) == (None, (1, 1))

"""Parsing of what was written on a connection."""

from app.server.http2.frames import Frame, FrameReader


def written_frames(written: bytes) -> list[Frame]:
    """Return the complete HTTP/2 frames, by our own reader: h2 accepts nothing after a GOAWAY."""
    reader = FrameReader()
    reader.feed_bytes(written)
    return list(iter(reader.next_frame, None))

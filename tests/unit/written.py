"""What was written on a connection, read again."""

from app.server.http2.frames import Frame, FrameReader


def written_frames(written: bytes) -> list[Frame]:
    """Give the whole frames of HTTP/2, by our own reader: h2 takes nothing behind a GOAWAY."""
    reader = FrameReader()
    reader.receive(written)
    return list(iter(reader.next, None))

"""HTTP/2: frames, header blocks, streams without I/O, and the session that serves them.

The streams are ours. h2, the library that is kept for it, can send nothing more once either side has sent GOAWAY,
although RFC 9113, 6.8 has the streams before it finished: a stop would lose what was accepted. It also ends the
connection where the RFC ends a stream. Header compression is by hpack, from the same authors.
"""

"""HTTP/2: frames, header blocks, connection state, protocol handler.

The connection state machine is our own. h2, the maintained library, can send nothing more once either side has sent
GOAWAY. RFC 9113, 6.8 requires the streams before it to be finished: a shutdown would lose accepted requests. h2 also
closes the connection where the RFC resets a stream. Header compression is by hpack, from the same authors.
"""

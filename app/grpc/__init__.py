"""gRPC: the calls on the echo port, without I/O.

The streams of HTTP/2 belong to `app.server`.
"""

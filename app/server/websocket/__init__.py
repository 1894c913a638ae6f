"""WebSocket: the handshake and the frames without I/O, and the session that echoes them."""

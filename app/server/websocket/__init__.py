"""WebSocket: opening handshake, echo without I/O, protocol handler."""

"""The opening handshake of a WebSocket, as bytes (RFC 6455, 1.3)."""

from typing import Final

HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

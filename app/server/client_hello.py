"""Server name (SNI) of a TLS ClientHello, byte for byte.

`SSLContext.sni_callback` does not pass every name that a client sends. Measured with CPython 3.11, 3.12 and 3.13:

- If a name is not ASCII, the handshake fails, and a traceback is written to stderr (`_servername_callback` in CPython's
  Modules/_ssl.c).
- If a TLS 1.2 session is resumed, the name is that of the session's first handshake (SSL_get_servername(3)).
"""

from typing import Final

# RFC 8446, 5.1: the content type of a handshake record, the first byte from a TLS client. No HTTP method begins with
# it.
HANDSHAKE_RECORD: Final = b"\x16"
# Maximum bytes of a client's first data searched for its server name: far above any genuine ClientHello.
MAX_BYTES: Final = 1 << 16
_SERVER_NAME: Final = b"\0\0"  # type of the extension (RFC 6066, 3)


def server_name(records: bytes | bytearray) -> bytes:
    """Return the server name (SNI; RFC 6066, 3) in the client's first bytes, or empty bytes.

    OpenSSL must have accepted the same bytes: their syntax is not checked.
    """
    remaining = _client_hello(memoryview(records))[34:]  # after version and random
    for width in (1, 2, 1):  # session ID, cipher suites, compression methods (RFC 8446, 4.1.2)
        _, remaining = _split_vector(remaining, width)
    extensions, _ = _split_vector(remaining, 2)
    while extensions:
        kind = extensions[:2]
        content, extensions = _split_vector(extensions[2:], 2)
        if kind.tobytes() == _SERVER_NAME:
            names, _ = _split_vector(content, 2)
            return bytes(_split_vector(names[1:], 2)[0])  # after its type; the only type is host_name
    return b""


def _client_hello(records: memoryview) -> memoryview:
    """Return the body of the first handshake message, which may span several records (RFC 8446, 4 and 5.1)."""
    message = bytearray()
    while records[:1].tobytes() == HANDSHAKE_RECORD:
        fragment, records = _split_vector(records[3:], 2)
        message += fragment
    return _split_vector(memoryview(message)[1:], 3)[0]


def _split_vector(data: memoryview, width: int) -> tuple[memoryview, memoryview]:
    """Split off a vector, preceded by its length in `width` bytes; return it and the remaining data (RFC 8446, 3.4)."""
    end = width + int.from_bytes(data[:width], "big")
    return data[width:end], data[end:]

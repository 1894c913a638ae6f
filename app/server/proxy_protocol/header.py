"""PROXY protocol header parser, versions 1 and 2, without I/O.

The header precedes a connection's first byte.
https://github.com/haproxy/haproxy/blob/master/doc/proxy-protocol.txt, revision of 2026/04/27

Numbers in brackets are its sections.
"""

import re
import socket
import struct
from typing import Any, Final

from msgspec import UNSET, UnsetType

from app.http.connection_info import Endpoint, ProxyProtocol, UnixEndpoint
from app.http.errors import bad_request
from app.http.request import decode_lossless
from app.http.text import quote_bytes
from app.server.proxy_protocol.tlvs import parse_tlvs

_V1_SIGNATURE: Final = b"PROXY "
_V1_MAX_SIZE: Final = 107  # bytes of a line, including CRLF (2.1)
_V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_START: Final = struct.Struct("!12sBBH")  # signature, version and command, family and protocol, bytes that follow
_V2_MAX_SIZE: Final = 4096  # bytes of a header; 536 are intended to be enough (2), a client certificate takes more
_LOCAL: Final = 0x20
_PROXY: Final = 0x21

_INET: Final = struct.Struct("!4s4sHH")
_INET6: Final = struct.Struct("!16s16sHH")
_UNIX: Final = struct.Struct("!108s108s")
_NO_ADDRESSES: Final = struct.Struct("!")

# The 14th byte: its name, and the layout of the addresses (2.2). A family without a protocol is missing: it does not
# define the length of its addresses, and a receiver is free to reject it.
_TRANSPORTS: Final = {
    0x00: ("UNSPEC", _NO_ADDRESSES),
    0x01: ("UNSPEC", _NO_ADDRESSES),
    0x02: ("UNSPEC", _NO_ADDRESSES),
    0x11: ("TCP4", _INET),
    0x12: ("UDP4", _INET),
    0x21: ("TCP6", _INET6),
    0x22: ("UDP6", _INET6),
    0x31: ("UNIX_STREAM", _UNIX),
    0x32: ("UNIX_DGRAM", _UNIX),
}
_FAMILIES: Final = {4: socket.AF_INET, 16: socket.AF_INET6}  # by the size of an address in bytes

# Decimal without leading zeros, which might be taken for octal (2.1).
_IPV4: Final = re.compile(rb"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_IPV6: Final = re.compile(rb"[0-9A-Fa-f:.]+")  # inet_pton(3) checks the rest, and accepts the form ::ffff:192.0.2.1
_V1_TRANSPORTS: Final = {b"TCP4": (socket.AF_INET, _IPV4), b"TCP6": (socket.AF_INET6, _IPV6)}
_V1_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN(?: .*)?", re.DOTALL)
_PORT: Final = re.compile(rb"0|[1-9][0-9]{0,4}")
_HIGHEST_PORT: Final = 65_535
_V1_WORD_COUNT: Final = 4  # source, destination, source port, destination port


class ProxyHeaderParser:
    """Reader of one connection's header, which is mandatory: a receiver must not guess (2).

    Once `feed` has returned the header, `unparsed` are the bytes after it.
    """

    def __init__(self) -> None:
        self.unparsed = b""

    def feed(self, data: bytes) -> ProxyProtocol | None:
        """Process bytes from the connection; return the header once it is complete, None until then.

        Raise `ProtocolError`, 400, for an invalid header, after which the connection can't be parsed further.
        """
        self.unparsed += data
        size = _header_size(self.unparsed)
        if size is None or len(self.unparsed) < size:
            return None
        header, self.unparsed = self.unparsed[:size], self.unparsed[size:]
        return _parse_v2(header) if header.startswith(_V2_SIGNATURE) else _parse_v1(header)


def _header_size(data: bytes) -> int | None:
    """Return a header's length in bytes, or None while too few bytes have arrived."""
    if data.startswith(_V2_SIGNATURE):
        return _header_size_v2(data)
    if data.startswith(_V1_SIGNATURE):
        return _header_size_v1(data)
    if _V2_SIGNATURE.startswith(data) or _V1_SIGNATURE.startswith(data):
        return None
    raise bad_request("connection does not begin with a PROXY protocol header (ECHO_PROXY_PROTOCOL)")


# version 1 (2.1)


def _header_size_v1(data: bytes) -> int | None:
    end = data.find(b"\n", 0, _V1_MAX_SIZE)
    if end < 0:
        if len(data) >= _V1_MAX_SIZE:
            raise bad_request(f"PROXY line exceeds {_V1_MAX_SIZE} bytes")
        return None
    if data[end - 1 : end] != b"\r":
        raise bad_request("PROXY line ends with LF alone; CRLF is required")
    return end + 1


def _parse_v1(header: bytes) -> ProxyProtocol:
    line = header.removesuffix(b"\r\n")
    if _V1_UNKNOWN.fullmatch(line):  # the rest is to be ignored
        return ProxyProtocol(1, "PROXY", "UNKNOWN")
    name, _, addresses = line.removeprefix(_V1_SIGNATURE).partition(b" ")
    words = addresses.split(b" ")
    if name not in _V1_TRANSPORTS or len(words) != _V1_WORD_COUNT:
        raise bad_request(f"invalid PROXY line: {quote_bytes(line)}")
    family, pattern = _V1_TRANSPORTS[name]
    source, destination = (_address(word, family, pattern) for word in words[:2])
    source_port, destination_port = (_port(word) for word in words[2:])
    return ProxyProtocol(
        1, "PROXY", name.decode(), Endpoint(source, source_port), Endpoint(destination, destination_port)
    )


def _address(word: bytes, family: socket.AddressFamily, pattern: re.Pattern[bytes]) -> str:
    try:
        if pattern.fullmatch(word):
            return socket.inet_ntop(family, socket.inet_pton(family, word.decode()))
    except OSError:
        pass
    raise bad_request(f"invalid address in the PROXY line: {quote_bytes(word)}")


def _port(word: bytes) -> int:
    if not _PORT.fullmatch(word) or int(word) > _HIGHEST_PORT:
        raise bad_request(f"invalid port in the PROXY line: {quote_bytes(word)}")
    return int(word)


# version 2 (2.2)


def _header_size_v2(data: bytes) -> int | None:
    if len(data) < _V2_START.size:
        return None
    _, command, transport, length = _V2_START.unpack_from(data)
    if command not in {_LOCAL, _PROXY}:
        raise bad_request(f"invalid version and command in the PROXY protocol header: 0x{command:02X}")
    if length > _V2_MAX_SIZE - _V2_START.size:
        raise bad_request(f"PROXY protocol header exceeds {_V2_MAX_SIZE} bytes")
    if command == _PROXY:
        if transport not in _TRANSPORTS:
            raise bad_request(f"invalid family and protocol in the PROXY protocol header: 0x{transport:02X}")
        if length < _TRANSPORTS[transport][1].size:
            raise bad_request(f"PROXY protocol header too short for its addresses: {length} bytes")
    return int(_V2_START.size + length)


def _parse_v2(header: bytes) -> ProxyProtocol:
    _, command, transport, _ = _V2_START.unpack_from(header)
    if command == _LOCAL:  # must be accepted, and everything after it discarded
        return ProxyProtocol(2, "LOCAL")
    name, layout = _TRANSPORTS[transport]
    source, destination = _endpoints(layout.unpack_from(header, _V2_START.size))
    tlvs_start = _V2_START.size + layout.size
    return ProxyProtocol(2, "PROXY", name, source, destination, parse_tlvs(header, tlvs_start) or UNSET)


def _endpoints(unpacked: tuple[Any, ...]) -> tuple[Endpoint | UnixEndpoint | UnsetType, ...]:
    """Return source and destination of the unpacked addresses."""
    match unpacked:
        case (source, destination, source_port, destination_port):
            return Endpoint(_ip(source), source_port), Endpoint(_ip(destination), destination_port)
        case (source, destination):
            return UnixEndpoint(_path(source)), UnixEndpoint(_path(destination))
    return UNSET, UNSET


def _ip(packed: bytes) -> str:
    return socket.inet_ntop(_FAMILIES[len(packed)], packed)


def _path(padded: bytes) -> str:
    """Return a socket's path; one in the abstract namespace begins with NUL (unix(7))."""
    path = padded.rstrip(b"\0")
    return decode_lossless(path if path.startswith(b"\0") else path.partition(b"\0")[0])

"""The PROXY protocol, versions 1 and 2, without I/O: the header in front of a connection's first byte.

https://github.com/haproxy/haproxy/blob/master/doc/proxy-protocol.txt, revision of 2026/04/27; numbers in brackets
are its sections.
"""

import re
import socket
import struct
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import UNSET, UnsetType

from app.carrier.errors import bad_request, excerpt
from app.peers import Endpoint, ProxyProtocol, RawTlv, SslTlv, Tlvs, UnixEndpoint
from app.wire import shown

_V1_SIGNATURE: Final = b"PROXY "
_V1_LONGEST: Final = 107  # bytes of a line, CRLF and all (2.1)
_V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_START: Final = struct.Struct("!12sBBH")  # signature, version and command, family and protocol, bytes that follow
_V2_LONGEST: Final = 4096  # bytes of a header; 536 are meant to be enough (2), a client's certificate takes more
_LOCAL: Final = 0x20
_PROXY: Final = 0x21

_INET: Final = struct.Struct("!4s4sHH")
_INET6: Final = struct.Struct("!16s16sHH")
_UNIX: Final = struct.Struct("!108s108s")
_NO_ADDRESSES: Final = struct.Struct("!")

# The 14th byte: what it is called, and how its addresses are laid out (2.2). Not here is a family without a protocol:
# it does not say how long its addresses are, and a receiver is free to reject it.
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
_FAMILIES: Final = {4: socket.AF_INET, 16: socket.AF_INET6}  # by the bytes of an address

# Decimal without heading zeros, which might be taken for octal (2.1).
_IPV4: Final = re.compile(rb"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_IPV6: Final = re.compile(rb"[0-9A-Fa-f:.]+")  # inet_pton(3) knows the rest, and the form ::ffff:192.0.2.1
_V1_TRANSPORTS: Final = {b"TCP4": (socket.AF_INET, _IPV4), b"TCP6": (socket.AF_INET6, _IPV6)}
_V1_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN(?: .*)?", re.DOTALL)
_PORT: Final = re.compile(rb"0|[1-9][0-9]{0,4}")
_HIGHEST_PORT: Final = 65_535
_V1_WORDS: Final = 4  # source, destination, source port, destination port

_VECTOR_START: Final = struct.Struct("!BH")  # type, length of the value
_CRC32C: Final = 0x03
_NOOP: Final = 0x04
_CHECKSUM_SIZE: Final = 4  # bytes (2.2.3)
_LONGEST_UNIQUE_ID: Final = 128  # bytes (2.2.5)
_SSL_START: Final = struct.Struct("!BI")  # client, verify (2.2.6)
_SSL_FLAGS: Final = {0x01: "SSL", 0x02: "CERT_CONN", 0x04: "CERT_SESS"}
_AWS_VPCE_ID: Final = b"\x01"  # PP2_SUBTYPE_AWS_VPCE_ID
_AZURE_LINK_ID: Final = b"\x01"  # PP2_SUBTYPE_AZURE_PRIVATEENDPOINT_LINKID
_AZURE_LINK: Final = struct.Struct("<BI")
_GCP_CONNECTION: Final = struct.Struct("!Q")

Vectors = Iterable[tuple[int, bytes]]  # types and their values
Reader = Callable[[bytes], dict[str, Any]]  # fields by name; none where the value has not the form of its type


class ProxyReader:
    """Reads the header of one connection, which has to be there: a receiver must not guess (2).

    `left` is, once `receive` has given the header, what came behind it.
    """

    def __init__(self) -> None:
        self.left = b""

    def receive(self, data: bytes) -> ProxyProtocol | None:
        """Take bytes from the connection; give the header once it is complete, and None until then.

        Raises `ProtocolError`, 400, for what is no header, after which the connection can't be read on.
        """
        self.left += data
        size = _size(self.left)
        if size is None or len(self.left) < size:
            return None
        header, self.left = self.left[:size], self.left[size:]
        return _parse_v2(header) if header.startswith(_V2_SIGNATURE) else _parse_v1(header)


def _size(received: bytes) -> int | None:
    """Give a header's length in bytes, None as long as its beginning does not say."""
    if received.startswith(_V2_SIGNATURE):
        return _size_v2(received)
    if received.startswith(_V1_SIGNATURE):
        return _size_v1(received)
    if _V2_SIGNATURE.startswith(received) or _V1_SIGNATURE.startswith(received):
        return None
    raise bad_request("a connection that does not begin with a PROXY protocol header")


# version 1 (2.1)


def _size_v1(received: bytes) -> int | None:
    end = received.find(b"\n", 0, _V1_LONGEST)
    if end < 0:
        if len(received) >= _V1_LONGEST:
            raise bad_request(f"a PROXY line longer than {_V1_LONGEST} bytes")
        return None
    if received[end - 1 : end] != b"\r":
        raise bad_request("a PROXY line that ends without CR")
    return end + 1


def _parse_v1(header: bytes) -> ProxyProtocol:
    line = header.removesuffix(b"\r\n")
    if _V1_UNKNOWN.fullmatch(line):  # what follows is to be ignored
        return ProxyProtocol(1, "PROXY", "UNKNOWN")
    name, _, rest = line.removeprefix(_V1_SIGNATURE).partition(b" ")
    words = rest.split(b" ")
    if name not in _V1_TRANSPORTS or len(words) != _V1_WORDS:
        raise bad_request(f"not a PROXY line: {excerpt(line)}")
    family, form = _V1_TRANSPORTS[name]
    source, destination = (_address(word, family, form) for word in words[:2])
    source_port, destination_port = (_port(word) for word in words[2:])
    return ProxyProtocol(
        1, "PROXY", name.decode(), Endpoint(source, source_port), Endpoint(destination, destination_port)
    )


def _address(word: bytes, family: socket.AddressFamily, form: re.Pattern[bytes]) -> str:
    try:
        if form.fullmatch(word):
            return socket.inet_ntop(family, socket.inet_pton(family, word.decode()))
    except OSError:
        pass
    raise bad_request(f"not an address of a PROXY line: {excerpt(word)}")


def _port(word: bytes) -> int:
    if not _PORT.fullmatch(word) or int(word) > _HIGHEST_PORT:
        raise bad_request(f"not a port of a PROXY line: {excerpt(word)}")
    return int(word)


# version 2 (2.2)


def _size_v2(received: bytes) -> int | None:
    if len(received) < _V2_START.size:
        return None
    _, command, transport, length = _V2_START.unpack_from(received)
    if command not in {_LOCAL, _PROXY}:
        raise bad_request(f"not a version and command of a PROXY protocol header: 0x{command:02X}")
    if length > _V2_LONGEST - _V2_START.size:
        raise bad_request(f"a PROXY protocol header above {_V2_LONGEST} bytes")
    if command == _PROXY:
        if transport not in _TRANSPORTS:
            raise bad_request(f"not a family and protocol of a PROXY protocol header: 0x{transport:02X}")
        if length < _TRANSPORTS[transport][1].size:
            raise bad_request(f"a PROXY protocol header too short for its addresses: {length} bytes")
    return int(_V2_START.size + length)


def _parse_v2(header: bytes) -> ProxyProtocol:
    _, command, transport, _ = _V2_START.unpack_from(header)
    if command == _LOCAL:  # must be accepted, and all that follows discarded
        return ProxyProtocol(2, "LOCAL")
    name, layout = _TRANSPORTS[transport]
    source, destination = _endpoints(layout.unpack_from(header, _V2_START.size))
    before = _V2_START.size + layout.size
    vectors = list(_vectors(header, before))
    _verify(header[:before], vectors)
    named = _named((vector for vector in vectors if vector[0] != _NOOP), _TLVS)
    return ProxyProtocol(2, "PROXY", name, source, destination, Tlvs(**named) if named else UNSET)


def _endpoints(unpacked: tuple[Any, ...]) -> tuple[Endpoint | UnixEndpoint | UnsetType, ...]:
    """Give source and destination, as they were laid out."""
    match unpacked:
        case (source, destination, source_port, destination_port):
            return Endpoint(_ip(source), source_port), Endpoint(_ip(destination), destination_port)
        case (source, destination):
            return UnixEndpoint(_path(source)), UnixEndpoint(_path(destination))
    return UNSET, UNSET


def _ip(packed: bytes) -> str:
    return socket.inet_ntop(_FAMILIES[len(packed)], packed)


def _path(padded: bytes) -> str:
    """Give a socket's path; one of the abstract namespace begins with NUL (unix(7))."""
    path = padded.rstrip(b"\0")
    return shown(path if path.startswith(b"\0") else path.partition(b"\0")[0])


# its extensions: type, length, value (2.2)


def _vectors(block: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    while start < len(block):
        if len(block) - start < _VECTOR_START.size:
            raise bad_request("a TLV without its length")
        kind, length = _VECTOR_START.unpack_from(block, start)
        start += _VECTOR_START.size
        if len(block) - start < length:
            raise bad_request(f"a TLV that is longer than what it is in: type 0x{kind:02X}, {length} bytes")
        yield kind, block[start : start + length]
        start += length


def _named(vectors: Vectors, readers: Mapping[int, Reader]) -> dict[str, Any]:
    """Give the fields that the vectors hold. What has no name, or comes again, is kept as it came."""
    fields: dict[str, Any] = {}
    others: list[RawTlv] = []
    for kind, value in vectors:
        read = readers[kind](value) if kind in readers else {}
        if read and fields.keys().isdisjoint(read):
            fields |= read
        else:
            others.append(RawTlv(f"0x{kind:02X}", _base64(value)))
    return fields | ({"others": tuple(others)} if others else {})


def _verify(before: bytes, vectors: list[tuple[int, bytes]]) -> None:
    """Hold a header against its checksum, if it has one: it was made with zeros in the checksum's place (2.2.3)."""
    checksums = [value for kind, value in vectors if kind == _CRC32C]
    if not checksums:
        return
    if len(checksums) > 1 or len(checksums[0]) != _CHECKSUM_SIZE:
        raise bad_request(f"not one CRC32C TLV of {_CHECKSUM_SIZE} bytes")
    zeroed = ((kind, bytes(_CHECKSUM_SIZE) if kind == _CRC32C else value) for kind, value in vectors)
    counted = crc32c(before + b"".join(_VECTOR_START.pack(kind, len(value)) + value for kind, value in zeroed))
    if counted != int.from_bytes(checksums[0], "big"):
        raise bad_request(
            f"a PROXY protocol header whose CRC32C is 0x{counted:08X}, not 0x{checksums[0].hex().upper()}"
        )


def _crc32c_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # Castagnoli's polynomial, its bits in reverse
    return value


_CRC32C_OF_BYTES: Final = tuple(map(_crc32c_of_byte, range(256)))


def crc32c(data: bytes) -> int:
    """Give the CRC-32C of bytes (RFC 4960, appendix B)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C_OF_BYTES[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _text(name: str) -> Reader:
    return lambda value: {name: shown(value)}


def _unique_id(value: bytes) -> dict[str, Any]:
    if len(value) > _LONGEST_UNIQUE_ID:
        raise bad_request(f"a unique id above {_LONGEST_UNIQUE_ID} bytes")
    try:
        return {"unique_id": value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"unique_id_base64": _base64(value)}


def _ssl(value: bytes) -> dict[str, Any]:
    if len(value) < _SSL_START.size:
        raise bad_request(f"an SSL TLV of {len(value)} bytes")
    client, verify = _SSL_START.unpack_from(value)
    flags = (1 << bit for bit in range(8) if client & 1 << bit)
    names = tuple(_SSL_FLAGS.get(flag, f"0x{flag:02X}") for flag in flags)
    return {"ssl": SslTlv(names, verify, **_named(_vectors(value, _SSL_START.size), _SSL_TLVS))}


# The clouds' own are of the range for applications (2.2.8): a value of another form may be another application's.


def _aws(value: bytes) -> dict[str, Any]:
    """Give the VPC endpoint's id, which is text behind a subtype.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol
    """
    return {"aws_vpce_id": shown(value[1:])} if value.startswith(_AWS_VPCE_ID) else {}


def _azure(value: bytes) -> dict[str, Any]:
    """Give the private endpoint's LINKID, 32 bits behind a subtype, the least significant byte first.

    https://learn.microsoft.com/azure/private-link/private-link-service-overview
    """
    if not value.startswith(_AZURE_LINK_ID) or len(value) != _AZURE_LINK.size:
        return {}
    return {"azure_link_id": _AZURE_LINK.unpack(value)[1]}


def _gcp(value: bytes) -> dict[str, Any]:
    """Give the Private Service Connect connection's id, 64 bits in network order.

    https://cloud.google.com/vpc/docs/about-vpc-hosted-services#proxy-protocol
    """
    return {"gcp_psc_connection_id": str(*_GCP_CONNECTION.unpack(value))} if len(value) == _GCP_CONNECTION.size else {}


_TLVS: Final[dict[int, Reader]] = {
    0x01: _text("alpn"),
    0x02: _text("authority"),
    _CRC32C: lambda value: {"crc32c": value.hex()},
    0x05: _unique_id,
    0x20: _ssl,
    0x30: _text("netns"),
    0xE0: _gcp,
    0xEA: _aws,
    0xEE: _azure,
}
_SSL_TLVS: Final[dict[int, Reader]] = {
    0x21: _text("version"),
    0x22: _text("cn"),
    0x23: _text("cipher"),
    0x24: _text("sig_alg"),
    0x25: _text("key_alg"),
    0x26: _text("group"),
    0x27: _text("sig_scheme"),
    0x28: lambda value: {"client_cert": _base64(value)},
}

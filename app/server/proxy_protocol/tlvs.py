"""TLVs of a PROXY protocol header, version 2 (section 2.2).

Each has a type, a length and a value.
"""

import struct
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from app.http.connection_info import RawTlv, SslTlv, Tlvs
from app.http.errors import bad_request
from app.http.request import decode_lossless

_TLV_HEADER: Final = struct.Struct("!BH")  # type, length of the value
_CRC32C: Final = 0x03
_NOOP: Final = 0x04
_CHECKSUM_SIZE: Final = 4  # bytes (2.2.3)
_MAX_UNIQUE_ID_SIZE: Final = 128  # bytes (2.2.5)
_SSL_HEADER: Final = struct.Struct("!BI")  # client, verify (2.2.6)
_SSL_FLAGS: Final = {0x01: "SSL", 0x02: "CERT_CONN", 0x04: "CERT_SESS"}
_AWS_VPCE_ID: Final = b"\x01"  # PP2_SUBTYPE_AWS_VPCE_ID
_AZURE_LINK_ID: Final = b"\x01"  # PP2_SUBTYPE_AZURE_PRIVATEENDPOINT_LINKID
_AZURE_LINK: Final = struct.Struct("<BI")
_GCP_CONNECTION: Final = struct.Struct("!Q")

TypedValues = Iterable[tuple[int, bytes]]  # types and their values
TlvParser = Callable[[bytes], dict[str, Any]]  # fields by name; none if the value does not have its type's layout


def parse_tlvs(header: bytes, start: int) -> Tlvs | None:
    """Return the TLVs of a header, which begin at `start`, or None if there is nothing to report.

    Raise `ProtocolError`, 400, if one is truncated, or the checksum does not match.
    """
    tlvs = list(_split_tlvs(header, start))
    _verify_checksum(header[:start], tlvs)
    named = _parse_values((vector for vector in tlvs if vector[0] != _NOOP), _TLVS)
    return Tlvs(**named) if named else None


def _split_tlvs(block: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    while start < len(block):
        if len(block) - start < _TLV_HEADER.size:
            raise bad_request("TLV without a length")
        kind, length = _TLV_HEADER.unpack_from(block, start)
        start += _TLV_HEADER.size
        if len(block) - start < length:
            raise bad_request(f"TLV exceeds the bytes that contain it: type 0x{kind:02X}, {length} bytes")
        yield kind, block[start : start + length]
        start += length


def _parse_values(tlvs: TypedValues, parsers: Mapping[int, TlvParser]) -> dict[str, Any]:
    """Return the fields of the TLVs. Unknown and repeated ones are reported as raw bytes."""
    fields: dict[str, Any] = {}
    others: list[RawTlv] = []
    for kind, value in tlvs:
        parsed = parsers[kind](value) if kind in parsers else {}
        if parsed and fields.keys().isdisjoint(parsed):
            fields |= parsed
        else:
            others.append(RawTlv(f"0x{kind:02X}", _base64(value)))
    return fields | ({"others": tuple(others)} if others else {})


def _verify_checksum(prefix: bytes, tlvs: list[tuple[int, bytes]]) -> None:
    """Compare a header with its checksum, if it has one, which is computed with zeros in its place (2.2.3)."""
    checksums = [value for kind, value in tlvs if kind == _CRC32C]
    if not checksums:
        return
    if len(checksums) > 1 or len(checksums[0]) != _CHECKSUM_SIZE:
        raise bad_request(f"invalid CRC32C TLV: must be one of {_CHECKSUM_SIZE} bytes")
    zeroed = ((kind, bytes(_CHECKSUM_SIZE) if kind == _CRC32C else value) for kind, value in tlvs)
    computed = crc32c(prefix + b"".join(_TLV_HEADER.pack(kind, len(value)) + value for kind, value in zeroed))
    if computed != int.from_bytes(checksums[0], "big"):
        raise bad_request(
            f"CRC32C mismatch in the PROXY protocol header: 0x{computed:08X}, not 0x{checksums[0].hex().upper()}"
        )


def _crc32c_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # Castagnoli's polynomial, its bits reversed
    return value


_CRC32C_OF_BYTES: Final = tuple(map(_crc32c_of_byte, range(256)))


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes (RFC 4960, appendix B)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C_OF_BYTES[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _text_field(name: str) -> TlvParser:
    return lambda value: {name: decode_lossless(value)}


def _unique_id(value: bytes) -> dict[str, Any]:
    if len(value) > _MAX_UNIQUE_ID_SIZE:
        raise bad_request(f"UNIQUE_ID TLV exceeds {_MAX_UNIQUE_ID_SIZE} bytes")
    try:
        return {"unique_id": value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"unique_id_base64": _base64(value)}


def _ssl(value: bytes) -> dict[str, Any]:
    if len(value) < _SSL_HEADER.size:
        raise bad_request(f"SSL TLV too short: {len(value)} bytes")
    client, verify = _SSL_HEADER.unpack_from(value)
    flags = (1 << bit for bit in range(8) if client & 1 << bit)
    names = tuple(_SSL_FLAGS.get(flag, f"0x{flag:02X}") for flag in flags)
    return {"ssl": SslTlv(names, verify, **_parse_values(_split_tlvs(value, _SSL_HEADER.size), _SSL_TLVS))}


# The clouds' own types are from the range for applications (2.2.8): a value with another layout may be another
# application's.


def _aws(value: bytes) -> dict[str, Any]:
    """Return the VPC endpoint's ID, which is text after a subtype.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol
    """
    return {"aws_vpce_id": decode_lossless(value[1:])} if value.startswith(_AWS_VPCE_ID) else {}


def _azure(value: bytes) -> dict[str, Any]:
    """Return the private endpoint's LINKID, 32 bits after a subtype, the least significant byte first.

    https://learn.microsoft.com/azure/private-link/private-link-service-overview
    """
    if not value.startswith(_AZURE_LINK_ID) or len(value) != _AZURE_LINK.size:
        return {}
    return {"azure_link_id": _AZURE_LINK.unpack(value)[1]}


def _gcp(value: bytes) -> dict[str, Any]:
    """Return the Private Service Connect connection's ID, 64 bits in network byte order.

    https://cloud.google.com/vpc/docs/about-vpc-hosted-services#proxy-protocol
    """
    return {"gcp_psc_connection_id": str(*_GCP_CONNECTION.unpack(value))} if len(value) == _GCP_CONNECTION.size else {}


_TLVS: Final[dict[int, TlvParser]] = {
    0x01: _text_field("alpn"),
    0x02: _text_field("authority"),
    _CRC32C: lambda value: {"crc32c": value.hex()},
    0x05: _unique_id,
    0x20: _ssl,
    0x30: _text_field("netns"),
    0xE0: _gcp,
    0xEA: _aws,
    0xEE: _azure,
}
_SSL_TLVS: Final[dict[int, TlvParser]] = {
    0x21: _text_field("version"),
    0x22: _text_field("cn"),
    0x23: _text_field("cipher"),
    0x24: _text_field("sig_alg"),
    0x25: _text_field("key_alg"),
    0x26: _text_field("group"),
    0x27: _text_field("sig_scheme"),
    0x28: lambda value: {"client_cert": _base64(value)},
}

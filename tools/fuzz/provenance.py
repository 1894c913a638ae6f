"""Fuzz target: client address, trace and credentials in headers.

They are read within limits, and no client can choose who it is. An input is a header per line.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import UNSET

from app.echo.reflection.credentials import NO_KEYS, parse_credentials
from app.http.headers.client_address import MAX_HOPS, Client, client_from_headers
from app.http.headers.names import canonical_name
from app.http.headers.trace_context import parse_trace
from app.http.networks import in_networks
from app.http.redaction import MASK
from app.http.request import decode_lossless
from tools.fuzz import contexts
from tools.fuzz.cutting import field_lines

LONGEST: Final = 2048
WORDS: Final = (
    *(line.partition(b":")[0] + b": " for line in contexts.FIELDS), b"192.0.2.7", b"198.51.100.7", b"[2001:db8::1]:443",
    b"for=", b';by="', b'"', b"\\", b", ", b"unknown", b"_x", b"::ffff:192.0.2.1", b"%eth0", b"eyJ", b".", b"=",
)  # fmt: skip
_FORGED: Final = "203.0.113.66"
_PLACES: Final = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


def check(data: bytes) -> None:
    """Read the headers, also after a client has put more in front of them."""
    headers: dict[str, list[str]] = {}
    for name, value in field_lines(data.split(b"\n")):
        if name.isascii() and name:
            headers.setdefault(canonical_name(name), []).append(decode_lossless(value))
    client = client_from_headers(headers, contexts.CONNECTION, contexts.TRUSTED)
    _check_client(client)
    _check_not_forged(headers, client)
    trace = parse_trace(headers)
    credentials = parse_credentials(headers, contexts.POLICY)
    if credentials is not UNSET:
        assert credentials.basic is UNSET or credentials.basic.password == MASK
        for token in credentials.jwt or ():
            assert not token.verified
            assert token.not_verified == NO_KEYS
    size = sum(len(msgspec.json.encode(each)) for each in (client, trace, credentials) if each is not UNSET)
    assert size < 60 * len(data) + 4000
    if trace is not UNSET and trace.traceparent is not UNSET:
        assert trace.traceparent.trace_id.strip("0")
        assert len(trace.traceparent.trace_id) == 32


def seeds() -> Iterator[bytes]:
    """Yield each header with its value, and some that proxies or attackers write."""
    yield from contexts.FIELDS
    yield b"\n".join(contexts.FIELDS)
    yield b"X-Forwarded-For: 203.0.113.1\nX-Forwarded-For: 198.51.100.7, 192.0.2.9"
    yield b'Forwarded: for="203.0.113.1\nForwarded: for=198.51.100.7;proto=https, for=192.0.2.9'
    yield b"X-Real-IP: 198.51.100.7\nX-Real-IP: 192.0.2.9"
    yield b"Traceparent: cc-0123456789abcdef0123456789abcdef-0123456789abcdef-03-more"


def _check_client(client: Client) -> None:
    chain = client.chain or []
    assert len(chain) <= MAX_HOPS + 1
    for hop in chain:
        assert hop.trusted == in_networks(hop.address, contexts.TRUSTED)
    if chain:
        assert (chain[-1].source, chain[-1].address) == ("connection", client.address)
        assert client.effective in {hop.address for hop in chain}


def _check_not_forged(headers: dict[str, list[str]], client: Client) -> None:
    """Put an address in front, as a client can: it is ignored if a proxy has written an untrusted one."""
    chain = client.chain or []
    if all(hop.trusted for hop in chain) or len(chain) > MAX_HOPS:
        return
    name = next(place for place in _PLACES if place.startswith(chain[0].source.title()))
    forged = f"for={_FORGED}" if name == "Forwarded" else _FORGED
    more = headers | {name: [forged, *headers[name]]}
    assert client_from_headers(more, contexts.CONNECTION, contexts.TRUSTED).effective == client.effective

"""The client of a request: trust in each header, and cost of parsing."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from app.http.connection_info import Endpoint, ProxyProtocol
from app.http.headers.client_address import MAX_HOPS, Client, client_from_headers
from app.http.headers.forwarded import parse_forwarded, parse_node
from app.http.networks import Networks, parse_networks
from app.http.request import ConnectionInfo, decode_lossless

PROXIES = parse_networks("10.0.0.0/8,fd00::/8")
NOBODY: Networks = ()
SERVER = Endpoint("10.0.0.2", 8080)


def connection(address: str = "10.0.0.1", proxy: ProxyProtocol | None = None) -> ConnectionInfo:
    """Return a connection from an address; by default that of a trusted proxy."""
    return ConnectionInfo(Endpoint(address, 40000), SERVER, proxy=proxy)


def client(trusted: Networks = PROXIES, address: str = "10.0.0.1", **fields: str | list[str]) -> Client:
    """Return the client of a request with these headers: `_` in a name stands for `-`."""
    headers = {
        name.replace("_", "-"): [values] if isinstance(values, str) else values for name, values in fields.items()
    }
    return client_from_headers(headers, connection(address), trusted)


def hops(found: Client) -> list[tuple[str, bool]]:
    """Return a chain as addresses and whether each is trusted; an empty list if there is no chain."""
    return [(hop.address, hop.trusted) for hop in found.chain] if found.chain else []


def test_without_a_field_it_is_the_connection() -> None:
    """Without headers the client is the peer's address and port, and nothing else, not even an empty list."""
    assert client(Host="echo.test", Accept="*/*") == Client("10.0.0.1", 40000, "10.0.0.1")


def test_what_the_proxy_protocol_said_is_shown() -> None:
    """PROXY protocol facts are shown beside the address that they name, which is the connection's."""
    said = ProxyProtocol(2, "PROXY", "TCP4")
    assert client_from_headers({}, connection(proxy=said), NOBODY).proxy_protocol is said


def test_the_chain_begins_at_the_client_and_ends_at_the_connection() -> None:
    """Each hop has the header that reported it, whether it is trusted, and its port if known."""
    found = client(X_Forwarded_For=["192.0.2.7:51000, 10.0.0.9", "[fd00::1]:443"])
    assert msgspec.to_builtins(found.chain) == [
        {"address": "192.0.2.7", "told": "X-Forwarded-For", "trusted": False, "port": 51000},
        {"address": "10.0.0.9", "told": "X-Forwarded-For", "trusted": True},
        {"address": "fd00::1", "told": "X-Forwarded-For", "trusted": True, "port": 443},
        {"address": "10.0.0.1", "told": "connection", "trusted": True, "port": 40000},
    ]
    assert found.effective == "192.0.2.7"


EFFECTIVE: dict[str, tuple[str, Networks, str, str]] = {
    "nobody is trusted": ("192.0.2.7", NOBODY, "10.0.0.1", "10.0.0.1"),
    "the connection is not trusted": ("10.0.0.9", PROXIES, "198.51.100.1", "198.51.100.1"),
    "the first that is not trusted": ("10.0.0.8, 192.0.2.7, 10.0.0.9", PROXIES, "10.0.0.1", "192.0.2.7"),
    "what stands before is the client's own word": ("192.0.2.1, 192.0.2.7", PROXIES, "10.0.0.1", "192.0.2.7"),
    "all are trusted": ("10.0.0.8, 10.0.0.9", PROXIES, "10.0.0.1", "10.0.0.8"),
    "junk is no address": ("192.0.2.7, <script>, 10.0.0.9", PROXIES, "10.0.0.1", "10.0.0.9"),
    "unknown is no address": ("192.0.2.7, unknown", PROXIES, "10.0.0.1", "10.0.0.1"),
    "IPv4 as IPv6": ("192.0.2.7, ::ffff:10.0.0.9", PROXIES, "::ffff:10.0.0.1", "192.0.2.7"),
    "a zone id": ("192.0.2.7, fd00::1%eth0", PROXIES, "fd00::2%eth0", "192.0.2.7"),
    "everybody is trusted": ("2001:db8::1, 192.0.2.7", parse_networks("0.0.0.0/0,::/0"), "10.0.0.1", "2001:db8::1"),
    "a network of IPv4 written as IPv6": ("192.0.2.7", parse_networks("::ffff:10.0.0.0/104"), "10.0.0.1", "192.0.2.7"),
    "a connection without an address": ("192.0.2.7", PROXIES, "", ""),
}


@pytest.mark.parametrize(("told", "trusted", "address", "effective"), EFFECTIVE.values(), ids=EFFECTIVE.keys())
def test_the_effective_address_follows_from_who_is_trusted(
    told: str, trusted: Networks, address: str, effective: str
) -> None:
    """The effective address is the first untrusted one, starting at the connection.

    If all are trusted, it is the first of the chain; if the untrusted one is no address, it is the hop after it.
    """
    assert client(trusted, address, X_Forwarded_For=told).effective == effective
    nodes = ", ".join(f'for="{each}"' for each in told.split(", "))
    assert client(trusted, address, Forwarded=nodes).effective == effective


def test_a_chain_comes_from_one_field() -> None:
    """X-Forwarded-For precedes Forwarded, which precedes X-Real-IP; the others are shown, but never trusted."""
    fields = {"X-Real-Ip": ["192.0.2.1", "192.0.2.2"]}
    assert hops(client_from_headers(fields, connection(), PROXIES)) == [("192.0.2.2", False), ("10.0.0.1", True)]
    fields["Forwarded"] = ["for=192.0.2.3"]
    assert hops(client_from_headers(fields, connection(), PROXIES)) == [("192.0.2.3", False), ("10.0.0.1", True)]
    fields["X-Forwarded-For"] = ["192.0.2.4"]
    found = client_from_headers(fields, connection(), PROXIES)
    assert hops(found) == [("192.0.2.4", False), ("10.0.0.1", True)]
    assert found.forwarded == [{"for": "192.0.2.3"}]
    assert found.x_forwarded == {"X-Real-Ip": ["192.0.2.1", "192.0.2.2"], "X-Forwarded-For": ["192.0.2.4"]}


def test_every_x_forwarded_field_is_shown() -> None:
    """Each X-Forwarded header is shown by canonical name, each value apart.

    Without an address in them there is no chain.
    """
    found = client(X_Forwarded_Proto="https", X_Forwarded_Host=["a", "b"], X_Forwarded="c", X_Real_Ip=" , ")
    assert found.x_forwarded == {"X-Forwarded-Proto": ["https"], "X-Forwarded-Host": ["a", "b"], "X-Real-Ip": [" , "]}
    assert found.chain is UNSET


@pytest.mark.parametrize(
    ("element", "address"),
    [("proto=https", "unknown"), ("for=unknown", "unknown"), ("for=_hidden", "_hidden"), ("for", "for")],
)
def test_an_element_of_which_no_address_can_be_read_is_a_hop(element: str, address: str) -> None:
    """An element without an address is an untrusted hop.

    It stands for a proxy: if it were omitted, the hop before it would take its place, and be trusted.
    """
    found = client(Forwarded=f"for=10.9.9.9, {element}, for=10.0.0.9")
    assert hops(found) == [("10.9.9.9", True), (address, False), ("10.0.0.9", True), ("10.0.0.1", True)]
    assert found.effective == "10.0.0.9"


FORWARDED: dict[str, tuple[list[str], list[dict[str, str]]]] = {
    # The first three are from RFC 7239, 4 and 7.1.
    "a quoted node": (['for="_gazonk"'], [{"for": "_gazonk"}]),
    "names in any case": (['For="[2001:db8:cafe::17]:4711"'], [{"for": "[2001:db8:cafe::17]:4711"}]),
    "several parameters": (
        ["for=192.0.2.60;proto=http;by=203.0.113.43"],
        [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
    ),
    "several fields are one list": (["for=a, for=b", "for=c"], [{"for": "a"}, {"for": "b"}, {"for": "c"}]),
    "quoted pairs, commas and semicolons": ([r'x="a\"b\\,;c";y=""'], [{"x": r'a"b\,;c', "y": ""}]),
    "white space and what is empty": ([" for=a ; proto=b ,, ;by=c; "], [{"for": "a", "proto": "b"}, {"by": "c"}]),
    "quotation marks that were forgotten": (
        ["for=[::1]:80, for=10.0.0.1:1"],
        [{"for": "[::1]:80"}, {"for": "10.0.0.1:1"}],
    ),
    "no value": (["for=, for=b"], [{"invalid": "for="}, {"for": "b"}]),
    "no pair": (["junk, for=b"], [{"invalid": "junk"}, {"for": "b"}]),
    "more behind a value": (['for="a"b, for=c'], [{"invalid": 'for="a"b'}, {"for": "c"}]),
    "a parameter twice": (["for=a;FOR=b, for=c"], [{"invalid": "for=a;FOR=b"}, {"for": "c"}]),
    "an open quotation mark": (['for="a, for=b'], [{"invalid": 'for="a'}, {"for": "b"}]),
    "an open quotation mark in a field before": (['for="a', 'for="b"'], [{"invalid": 'for="a'}, {"for": "b"}]),
    "an open quotation mark before a quoted node": (
        ['for=a;x=", for="[::1]:80"'],
        [{"invalid": 'for=a;x="'}, {"for": "[::1]:80"}],
    ),
}


@pytest.mark.parametrize(("values", "elements"), FORWARDED.values(), ids=FORWARDED.keys())
def test_forwarded_is_parsed(values: list[str], elements: list[dict[str, str]]) -> None:
    """Forwarded is parsed element by element (RFC 7239); an invalid one does not affect the others."""
    assert parse_forwarded(values) == elements


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.1", "192.0.2.1", None),
        ("192.0.2.1:80", "192.0.2.1", 80),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:80", "2001:db8::1", 80),
        ("[2001:db8::1]:_port", "2001:db8::1", None),
        ("[fe80::1%25eth0]:80", "fe80::1%25eth0", 80),
        ("192.0.2.1:123456", "192.0.2.1", None),
        ("[nobody]:80", "[nobody]:80", None),
        ("echo.test:80", "echo.test:80", None),
        ("_hidden", "_hidden", None),
        ("010.0.0.1", "010.0.0.1", None),
        ("", "", None),
    ],
)
def test_a_node_is_an_address_and_a_port(text: str, address: str, port: int | None) -> None:
    """Addresses and ports are parsed as RFC 7239 and proxies write them; anything else stays unchanged."""
    assert parse_node(text) == (address, UNSET if port is None else port)


def test_networks_are_read_from_a_list() -> None:
    """Networks are in CIDR notation, separated by commas or white space; a single address is a network of one."""
    written = parse_networks(" 10.0.0.0/8,fd00::/8, ,192.0.2.1\n2001:db8::1,::ffff:172.16.0.0/108,10.0.0.0/255.0.0.0")
    assert [str(each) for each in written] == [
        "10.0.0.0/8",
        "fd00::/8",
        "192.0.2.1/32",
        "2001:db8::1/128",
        "172.16.0.0/12",
        "10.0.0.0/8",
    ]
    assert parse_networks("") == parse_networks(" , ") == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10.0.0.0/8,all", "'all' is not a network, such as 10.0.0.0/8 or fd00::/8"),
        ("10.0.0.0/33", "'10.0.0.0/33' is not a network, such as"),
        ("fe80::1%eth0", "'fe80::1%eth0' is not a network, such as"),
        ("10.0.0.0/8;fd00::/8", "'10.0.0.0/8;fd00::/8' is not a network, such as"),
        ("x" * 100, f"'{'x' * 37}...' is not a network, such as"),
        ("10.1.2.3/8", "'10.1.2.3/8' has host bits set; did you mean 10.0.0.0/8 or 10.1.2.3?"),
    ],
)
def test_what_is_no_network_is_told(text: str, told: str) -> None:
    """The error names the invalid part, shows a valid example, and suggests the network that was meant."""
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the whole sentence is looked at
        parse_networks(text)
    assert str(refusal.value).startswith(told)


# Bytes of every kind that the grammars know, so that quotations and lists are hit often.
VALUES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.text('for="\\,;[]:. 10a_%=\t', max_size=60).map(str.encode),
    ).map(decode_lossless),
    max_size=4,
)
NAMES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip")


@given(headers=st.dictionaries(st.sampled_from(NAMES), VALUES), address=st.sampled_from(["10.0.0.1", "192.0.2.9", ""]))
def test_no_value_is_too_much(headers: dict[str, list[str]], address: str) -> None:
    """Any header values give a client that can be encoded, and an effective address from the chain."""
    found = client_from_headers(headers, connection(address), PROXIES)
    assert found.effective in {address, *(hop.address for hop in found.chain or ())}
    assert msgspec.json.decode(msgspec.json.encode(found))["address"] == address
    if address != "10.0.0.1":
        assert found.effective == address


@given(theirs=VALUES.map(", ".join), name=st.sampled_from(["Forwarded", "X-Forwarded-For"]))
def test_nothing_that_a_client_sends_hides_what_a_proxy_adds(theirs: str, name: str) -> None:
    """The last hop is always the one that the proxy added, even if the proxy extends the client's own header."""
    ours = 'for="[2001:db8::7]:443"' if name == "Forwarded" else "2001:db8::7"
    for values in ([theirs, ours], [f"{theirs}, {ours}"]):
        assert client_from_headers({name: values}, connection(), PROXIES).effective == "2001:db8::7"


def calls(run: Callable[[], Any]) -> int:
    """Count the calls of Python and C that something makes: its work, independent of the machine."""
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        del frame, argument
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


# Each is repeated: endless lists, and quotations that never close, or close where the next begins.
UNITS = ("1,", "a=b,", 'a="b=",', 'x=",', "for=", 'a=",b=";', '","', '"', ";", 'a="\\",')
MORE_UNITS = ("\\", "1 b,", "a ", "\t")


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For"])
@pytest.mark.parametrize("unit", UNITS + MORE_UNITS)
def test_the_work_grows_with_the_size_alone(name: str, unit: str) -> None:
    """Eight times the size takes at most nine times the work, and 64 KiB take at most eight calls per byte."""
    small, large = (
        calls(lambda size=size: client_from_headers({name: [unit * (size // len(unit))]}, connection(), PROXIES))  # type: ignore[misc]
        for size in (1 << 13, 1 << 16)
    )
    assert large <= 9 * small
    assert large <= 8 * (1 << 16)


def test_a_chain_is_looked_at_only_so_far() -> None:
    """Only the hops next to the connection are in the chain; the whole header is shown."""
    value = ",".join(["192.0.2.1"] * 5000)
    found = client(parse_networks("0.0.0.0/0"), X_Forwarded_For=value)
    assert found.chain
    assert len(found.chain) == MAX_HOPS + 1
    assert found.x_forwarded == {"X-Forwarded-For": [value]}

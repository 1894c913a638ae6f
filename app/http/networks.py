"""IP addresses and networks, for the list of trusted proxies."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network
from typing import Final

from app.http.text import quote_excerpt

Networks = tuple[IPv4Network | IPv6Network, ...]

_MAX_ADDRESS_LENGTH: Final = (
    64  # maximum length of an address in characters, including its zone id; anything longer is invalid
)
_IPV4_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2


def parse_networks(text: str) -> Networks:
    """Parse a list of networks in CIDR notation, separated by commas or spaces; a plain address is a network too.

    IPv4-mapped IPv6 networks (::ffff:10.0.0.0/104) are returned as IPv4. Raise `ValueError` with a sentence that quotes
    the invalid part.
    """
    return tuple(_parse_network(part) for part in text.replace(",", " ").split())


def _parse_network(text: str) -> IPv4Network | IPv6Network:
    excerpt = quote_excerpt(text)
    try:
        # A zone id is valid only on one machine's links; a network has none.
        interface = ip_interface(text.replace("%", " "))
    except ValueError:
        raise ValueError(f"{excerpt} is not a network, such as 10.0.0.0/8 or fd00::/8") from None
    network = interface.network
    if interface.ip != network.network_address:
        raise ValueError(f"{excerpt} has host bits set; did you mean {network} or {interface.ip}?")
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        return ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - _IPV4_MAPPED.prefixlen}")
    return network


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an IP address, or return None if it is invalid.

    The zone id is removed, and an IPv4-mapped IPv6 address is returned as IPv4.
    """
    return _parse_cached_address(text) if len(text) <= _MAX_ADDRESS_LENGTH else None


# The same few addresses are in every request; the limit keeps a client with invented ones from filling the memory.
@lru_cache(maxsize=1024)
def _parse_cached_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed_address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed_address, "ipv4_mapped", None) or parsed_address


def in_networks(text: str, networks: Networks) -> bool:
    """Return whether a text is an address in one of the networks."""
    if not networks:
        return False
    parsed_address = parse_address(text)
    return parsed_address is not None and any(parsed_address in network for network in networks)

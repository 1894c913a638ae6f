"""Addresses and networks: whose proxies are believed, and whether an address is one of theirs."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network
from typing import Final

from app.http.text import quoted

Networks = tuple[IPv4Network | IPv6Network, ...]

_LONGEST: Final = 64  # characters of an address, its zone id with it: what is longer is looked at no further
_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2


def networks(text: str) -> Networks:
    """Read a list of networks in CIDR notation, between commas; an address alone is a network of its own.

    IPv4 networks that are written as IPv6 (::ffff:10.0.0.0/104) are given as IPv4. Raises `ValueError` with a sentence
    that names the part that is none.
    """
    return tuple(_network(part) for part in text.replace(",", " ").split())


def _network(text: str) -> IPv4Network | IPv6Network:
    part = quoted(text)
    try:
        # A zone id belongs to one machine's links; a network has none.
        interface = ip_interface(text.replace("%", " "))
    except ValueError:
        raise ValueError(f"{part} is not a network, such as 10.0.0.0/8 or fd00::/8") from None
    network = interface.network
    if interface.ip != network.network_address:
        raise ValueError(f"{part} has host bits set; did you mean {network} or {interface.ip}?")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - _MAPPED.prefixlen}")
    return network


def address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, without its zone id, an IPv4 address written as IPv6 as the former; None for what is none."""
    return _address(text) if len(text) <= _LONGEST else None


# The same few addresses come with every request; a client that makes them up can't fill the memory.
@lru_cache(maxsize=1024)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def among(text: str, chosen: Networks) -> bool:
    """Tell whether a text is an address of one of the networks."""
    if not chosen:
        return False
    found = address(text)
    return found is not None and any(found in network for network in chosen)

"""What proxies write of who is behind them, parsed: Forwarded (RFC 7239) and X-Forwarded-For.

Each field is read by itself, though several make one list: an open quotation mark that a client sends must not swallow
what a proxy has written behind it. What can't be read is shown and passed over up to the next comma, so that each
character is looked at a few times at most.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import UNSET, UnsetType

from app.http.networks import address

INVALID: Final = "invalid"  # the name that an element of Forwarded has which can't be read
UNKNOWN: Final = "unknown"  # RFC 7239, 6.2: a node of which nobody tells

# RFC 9110, 5.6.2. What was matched is never tried otherwise (`++`), here and below, so that all of it is linear.
TCHARS: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# RFC 7239, 4. Proxies forget the quotation marks that [::1] and 10.0.0.1:80 need: they can still be read.
_PAIR = re.compile(rf'[ \t]*+({TCHARS})=(?:"((?:[^"\\]|\\[\s\S])*+)"|([^\s",;=\\]++))')
_SPACE = re.compile(r"[ \t]*+")
_QUOTED_PAIR: Final = re.compile(r"\\([\s\S])")  # RFC 9110, 5.6.4
_BRACKETED = re.compile(r"\[([^\]]*+)\](?::(.*))?", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}")


def forwarded(values: Iterable[str]) -> list[dict[str, str]]:
    """Give the elements of Forwarded: parameters by name in lower case, values without quotation marks.

    One that can't be read, or that has a parameter twice (RFC 7239, 4), is `{"invalid": text}`.
    """
    return [element for value in values for element in _elements(value) if element]


def _elements(text: str) -> Iterator[dict[str, str]]:
    begin = 0
    while begin < len(text):
        element, end = _element(text, begin)
        if element is None:
            # Not behind what was read last: it may have been within a quotation that the client has left open.
            end = text.find(",", begin)
            end = len(text) if end < 0 else end
            element = {INVALID: text[begin:end].strip(" \t")}
        yield element
        begin = end + 1


def _element(text: str, begin: int) -> tuple[dict[str, str] | None, int]:
    """Give the element that begins here, or None, and where it ends: at a comma, or at the end of the text."""
    pairs: dict[str, str] = {}
    while True:
        match = _PAIR.match(text, begin)
        if match:
            name, quoted, plain = match.groups()
            if name.lower() in pairs:
                return None, begin
            pairs[name.lower()] = plain if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
            begin = match.end()
        space = _SPACE.match(text, begin)
        begin = space.end() if space else begin
        if begin == len(text) or text[begin] == ",":
            return pairs, begin
        if text[begin] != ";":
            return None, begin
        begin += 1


def told_by_forwarded(element: dict[str, str]) -> str:
    """Give the node that an element of Forwarded tells of, as it is written."""
    return element.get("for") or element.get(INVALID) or UNKNOWN


def forwarded_for(values: Iterable[str]) -> list[str]:
    """Give the nodes of X-Forwarded-For as they are written, the empty ones left out."""
    return [stripped for value in values for node in value.split(",") if (stripped := node.strip(" \t"))]


def node(text: str) -> tuple[str, int | UnsetType]:
    """Give a node's address, without brackets, and its port if it is a number; what is no address as it is.

    As RFC 7239, 6, writes it, and as proxies do: 10.0.0.1, 10.0.0.1:80, ::1, [::1], [::1]:80, unknown, _hidden.
    """
    if ":" not in text and not text.startswith("["):  # an IPv4 address, as most are, or no address
        return text, UNSET
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed:
        inner, port = bracketed[1], bracketed[2] or ""
    elif text.count(":") == 1:
        inner, _, port = text.partition(":")
    else:
        return text, UNSET
    if address(inner) is None:
        return text, UNSET
    return inner, int(port) if _PORT.fullmatch(port) else UNSET

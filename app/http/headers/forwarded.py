"""Parser of Forwarded (RFC 7239) and X-Forwarded-For.

Header lines are parsed one by one, though several form one list: an open quotation mark sent by a client must not
swallow what a proxy appended. A malformed element is reported and skipped up to the next comma, so that each character
is read a few times at most.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import UNSET, UnsetType

from app.http.networks import parse_address
from app.http.tokens import TCHAR

INVALID: Final = "invalid"  # key of a malformed element of Forwarded
UNKNOWN: Final = "unknown"  # RFC 7239, 6.2: the node is unknown

# Possessive quantifiers (`++`), here and below, prevent backtracking: matching takes linear time.
# RFC 7239, 4. Also accepts [::1] and 10.0.0.1:80 without the required quotation marks, which some proxies omit.
_PAIR = re.compile(rf'[ \t]*+({TCHAR}++)=(?:"((?:[^"\\]|\\[\s\S])*+)"|([^\s",;=\\]++))')
_SPACE = re.compile(r"[ \t]*+")
_QUOTED_PAIR: Final = re.compile(r"\\([\s\S])")  # RFC 9110, 5.6.4
_BRACKETED = re.compile(r"\[([^\]]*+)\](?::(.*))?", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}")


def parse_forwarded(values: Iterable[str]) -> list[dict[str, str]]:
    """Parse the elements of Forwarded: parameters by name in lower case, with quoted values unquoted.

    A malformed element, or one with a repeated parameter (RFC 7239, 4), is `{"invalid": text}`.
    """
    return [element for value in values for element in _parse_elements(value) if element]


def _parse_elements(text: str) -> Iterator[dict[str, str]]:
    start = 0
    while start < len(text):
        element, end = _parse_element(text, start)
        if element is None:
            # Not from the end of what was parsed: that may be within a quotation that the client left open.
            end = text.find(",", start)
            end = len(text) if end < 0 else end
            element = {INVALID: text[start:end].strip(" \t")}
        yield element
        start = end + 1


def _parse_element(text: str, start: int) -> tuple[dict[str, str] | None, int]:
    """Parse the element that begins here; return it, or None, and its end: a comma, or the end of the text."""
    pairs: dict[str, str] = {}
    while True:
        match = _PAIR.match(text, start)
        if match:
            name, quoted, plain = match.groups()
            if name.lower() in pairs:
                return None, start
            pairs[name.lower()] = plain if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
            start = match.end()
        space = _SPACE.match(text, start)
        start = space.end() if space else start
        if start == len(text) or text[start] == ",":
            return pairs, start
        if text[start] != ";":
            return None, start
        start += 1


def node_of_element(element: dict[str, str]) -> str:
    """Return the node of an element of Forwarded, as written."""
    return element.get("for") or element.get(INVALID) or UNKNOWN


def parse_x_forwarded_for(values: Iterable[str]) -> list[str]:
    """Return the nodes of X-Forwarded-For as written, without empty ones."""
    return [stripped for value in values for node in value.split(",") if (stripped := node.strip(" \t"))]


def parse_node(text: str) -> tuple[str, int | UnsetType]:
    """Return the address of a node, without brackets, and its port if that is a number; other text unchanged.

    Accepts the forms of RFC 7239, 6, and those that proxies write: 10.0.0.1, 10.0.0.1:80, ::1, [::1], [::1]:80,
    unknown, _hidden.
    """
    if ":" not in text and not text.startswith("["):  # an IPv4 address, as in most cases, or not an address
        return text, UNSET
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed:
        inner, port = bracketed[1], bracketed[2] or ""
    elif text.count(":") == 1:
        inner, _, port = text.partition(":")
    else:
        return text, UNSET
    if parse_address(inner) is None:
        return text, UNSET
    return inner, int(port) if _PORT.fullmatch(port) else UNSET

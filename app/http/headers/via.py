"""The proxies that a request came through, by their own word: Via (RFC 9110, 7.6.3), parsed."""

import re
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import UNSET, UnsetType

from app.http.headers.forwarded import QUOTED_PAIR, TCHARS

_PROTOCOL_AND_NAME = re.compile(rf"({TCHARS}(?:/{TCHARS})?+)[ \t]++([^\s(),]++)[ \t]*+")
_MARK = re.compile(r"\\[\s\S]|[(),]")


class Via(msgspec.Struct, frozen=True):
    """One proxy by its own word (RFC 9110, 7.6.3); `invalid` is an element that can't be read."""

    protocol: str
    by: str
    comment: str | UnsetType = UNSET
    invalid: str | UnsetType = UNSET


def via(values: Iterable[str]) -> list[Via]:
    """Give the elements of Via; a comment without its parentheses and with its quoted pairs undone."""
    return [
        _via(stripped) for value in values for element in _outside_comments(value) if (stripped := element.strip(" \t"))
    ]


def _outside_comments(text: str) -> Iterator[str]:
    """Split a list at the commas that stand in no comment (RFC 9110, 5.6.5); comments nest."""
    depth = begin = 0
    for mark in _MARK.finditer(text):
        # Outside of a comment a backslash is a character like any other.
        char = mark[0] if depth else mark[0][-1]
        if char == "(":
            depth += 1
        elif char == ")":
            depth = max(0, depth - 1)
        elif char == "," and not depth:
            yield text[begin : mark.end() - 1]
            begin = mark.end()
    yield text[begin:]


def _via(text: str) -> Via:
    match = _PROTOCOL_AND_NAME.match(text)
    comment = text[match.end() :] if match else ""
    if match is None or (comment and not _is_comment(comment)):
        return Via("", "", invalid=text)
    return Via(match[1], match[2], QUOTED_PAIR.sub(r"\1", comment[1:-1]) if comment else UNSET)


def _is_comment(text: str) -> bool:
    """Tell whether a text is one whole comment: whether its first parenthesis closes with its last character."""
    depth = 0
    for mark in _MARK.finditer(text):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if not depth:
            return text.startswith("(") and mark.end() == len(text)
    return False

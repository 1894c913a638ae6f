"""Makes any text fit for HTML: none of it is markup, and what HTML can't hold shows as a symbol."""

import re
from html import escape
from typing import Final

_REPLACEMENT: Final = "\ufffd"
_DELETE: Final = 0x7F
_DELETE_SYMBOL: Final = "\u2421"
_SYMBOLS: Final = 0x2400  # the symbol for U+0000; those of the other controls follow in their order
_CONTROLS: Final = 0x20

# What a parser drops, changes or complains about: controls but tab and line feed (it makes line feeds of carriage
# returns), surrogates, noncharacters. https://html.spec.whatwg.org/multipage/parsing.html#preprocessing-the-input-stream
_LAST_OF_PLANES = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_UNFIT = re.compile(f"[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\ud800-\udfff\ufdd0-\ufdef{_LAST_OF_PLANES}]")


def escaped(text: str) -> str:
    """Give HTML that shows a text; in an attribute between quotes it stands for the same."""
    return escape(_UNFIT.sub(_symbol, text))


def _symbol(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < _CONTROLS:
        return chr(_SYMBOLS + code)
    return _DELETE_SYMBOL if code == _DELETE else _REPLACEMENT

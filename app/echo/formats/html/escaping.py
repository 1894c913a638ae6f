"""HTML escaping of any text.

No text becomes markup, and characters that are invalid in HTML are shown as symbols.
"""

import re
from html import escape
from typing import Final

_REPLACEMENT: Final = "\ufffd"
_DELETE: Final = 0x7F
_DELETE_SYMBOL: Final = "\u2421"
_SYMBOLS: Final = 0x2400  # the symbol for U+0000; those of the other control characters follow in order
_CONTROLS: Final = 0x20

# Characters that a parser drops, changes or reports: control characters except tab and line feed (carriage returns
# become line feeds), surrogates, noncharacters.
# https://html.spec.whatwg.org/multipage/parsing.html#preprocessing-the-input-stream
_LAST_OF_PLANES = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_INVALID = re.compile(f"[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\ud800-\udfff\ufdd0-\ufdef{_LAST_OF_PLANES}]")


def escape_html(text: str) -> str:
    """Return a text escaped for HTML, for use in content or in a quoted attribute."""
    return escape(_INVALID.sub(_replace_invalid, text))


def _replace_invalid(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < _CONTROLS:
        return chr(_SYMBOLS + code)
    return _DELETE_SYMBOL if code == _DELETE else _REPLACEMENT

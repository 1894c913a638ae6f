"""Characters of a token: a method, a header name, a parameter name.

RFC 9110, 5.6.2.
"""

from typing import Final

# A character class of regular expressions, for text and for bytes.
TCHAR: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TCHAR_BYTES: Final = TCHAR.encode("ascii")

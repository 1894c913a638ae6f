"""The README's conversion of lossless text to the original bytes."""

import re


def turned_back(text: str) -> bytes:
    r"""Return the bytes of a lossless text: `\xHH` is the byte HH, everything else is itself in UTF-8."""
    parts = re.split(r"\\x([0-9A-Fa-f]{2})", text)
    return b"".join(bytes.fromhex(part) if place % 2 else part.encode() for place, part in enumerate(parts))

"""Decoder of JSON Web Tokens (RFC 7519), without verification.

Only the compact serialization of JWS (RFC 7515, 7.1). It needs neither keys nor a cryptography library.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

MOST_CHARACTERS: Final = 16_384
"""Maximum length in characters of a decoded token: tokens with hundreds of groups stay below."""
MAX_DEPTH: Final = 16
"""Maximum nesting depth of the JSON in a token."""

# RFC 7515, 2, omits padding. Some issuers write it anyway, such as AWS load balancers.
_BASE64URL = re.compile(r"([A-Za-z0-9_-]*+)={0,2}")
_OBJECTS: Final = ("eyJ", "eyA", "ewo", "ew0")  # base64url of a brace, then a quotation mark, a space, LF or CR
_PARTS: Final = 3
_ENCRYPTED_PARTS: Final = 5  # RFC 7516, 7.1


class Decoded(NamedTuple):
    """Header and claims of a token."""

    header: dict[str, Any]
    claims: dict[str, Any]


Verify = Callable[[str, Decoded], str | None]
"""Function that knows the keys: returns why a token is not valid, in one sentence, or None if it is."""


def looks_like_one(text: str) -> bool:
    """Return whether a text begins like a token: with a JSON object in base64url."""
    return text.startswith(_OBJECTS) and "." in text


def decode(text: str) -> Decoded:
    """Decode a token.

    Raise `ValueError`, with a clause about `it`, for a malformed token, or one above the limits.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters; at most {MOST_CHARACTERS} are decoded")
    parts = text.split(".", _ENCRYPTED_PARTS)
    if len(parts) == _ENCRYPTED_PARTS:
        raise ValueError("it is encrypted (JWE): only its receiver can read it")
    if len(parts) != _PARTS:
        raise ValueError(f"it has {text.count('.')} dots, not 2")
    return Decoded(_object(parts[0], "header"), _object(parts[1], "payload"))


def _object(part: str, name: str) -> dict[str, Any]:
    match = _BASE64URL.fullmatch(part)
    if match is None or len(match[1]) % 4 == 1:
        raise ValueError(f"its {name} is not base64url")
    raw = urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4))
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ValueError(f"its {name} is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError(f"its {name} is JSON, but not an object")  # noqa: TRY004 - all that is wrong is one error
    if _is_deep(value):
        raise ValueError(f"its {name} is nested more than {MAX_DEPTH} levels deep")
    return value


def _is_deep(value: dict[str, Any]) -> bool:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        containers = [each.values() if isinstance(each, dict) else each for each in level]
        level = [item for container in containers for item in container if isinstance(item, dict | list)]
    return bool(level)

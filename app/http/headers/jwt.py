"""Decoder of JSON Web Tokens (RFC 7519), without verification.

Only the compact serialization of JWS (RFC 7515, 7.1). It needs neither keys nor a cryptography library.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

MAX_CHARACTERS: Final = 16_384
"""Maximum length in characters of a decoded token: tokens with hundreds of groups stay below."""
MAX_DEPTH: Final = 16
"""Maximum nesting depth of the JSON in a token."""

# RFC 7515, 2, omits padding. Some issuers write it anyway, such as AWS load balancers.
_BASE64URL = re.compile(r"([A-Za-z0-9_-]*+)={0,2}")
_OBJECT_PREFIXES: Final = ("eyJ", "eyA", "ewo", "ew0")  # base64url of a brace, then a quotation mark, a space, LF or CR
_SIGNED_PARTS: Final = 3
_ENCRYPTED_PARTS: Final = 5  # RFC 7516, 7.1


class DecodedToken(NamedTuple):
    """Header and claims of a token."""

    header: dict[str, Any]
    claims: dict[str, Any]


TokenVerifier = Callable[[str, DecodedToken], str | None]
"""Function that knows the keys: returns why a token is not valid, in one sentence, or None if it is."""


def looks_like_token(text: str) -> bool:
    """Return whether a text begins like a token: with a JSON object in base64url."""
    return text.startswith(_OBJECT_PREFIXES) and "." in text


def decode_token(text: str) -> DecodedToken:
    """Decode a token.

    Raise `ValueError`, with a clause about `it`, for a malformed token, or one above the limits.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters; at most {MAX_CHARACTERS} are decoded")
    parts = text.split(".", _ENCRYPTED_PARTS)
    if len(parts) == _ENCRYPTED_PARTS:
        raise ValueError("it is encrypted (JWE): only its receiver can read it")
    if len(parts) != _SIGNED_PARTS:
        raise ValueError(f"it has {text.count('.')} dots, not 2")
    return DecodedToken(_decode_object(parts[0], "header"), _decode_object(parts[1], "payload"))


def _decode_object(part: str, name: str) -> dict[str, Any]:
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
        containers = [element.values() if isinstance(element, dict) else element for element in level]
        level = [item for container in containers for item in container if isinstance(item, dict | list)]
    return bool(level)

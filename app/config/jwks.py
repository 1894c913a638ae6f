"""JSON Web Key Set of ECHO_JWKS (RFC 7517), parsed by PyJWT.

PyJWT and cryptography are imported only if keys are set: they are larger than everything else that the service needs.
"""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from jwt import PyJWKSet

INSTALL: Final = "pip install 'pyjwt[crypto]', or an image built with --build-arg requirements=requirements/jwt.txt"

_MAX_BYTES: Final = 1 << 20
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})  # RFC 7518, 6.2.2 and 6.3.2; RFC 8037, 2


class _Jwks(msgspec.Struct):
    """JSON of a key set; PyJWT parses the keys."""

    keys: list[dict[str, Any]]


def load_keys(path: str) -> "PyJWKSet":
    """Read the keys of a JWKS file that verify signatures.

    Keys for other uses, such as encryption, are ignored, and so are keys that PyJWT does not support (RFC 7517, 5).
    Raise `ValueError` with a sentence if the file can't be read, or has a private key, a short key or no usable key.
    Raise it as well if the library is not installed.
    """
    jwt = _library()
    jwks = _read(path)
    for number, jwk in enumerate(jwks, 1):
        if not _PRIVATE.isdisjoint(jwk):
            raise ValueError(f"key {number} of {path} is a private key: replace it with its public key")
    try:
        keys: PyJWKSet = jwt.PyJWKSet([jwk for jwk in jwks if _verifies(jwk)])
        messages = [key.Algorithm.check_key_length(key.Algorithm.prepare_key(key.key)) for key in keys]
    except jwt.PyJWKSetError as error:
        raise ValueError(f"{path} has no key for verifying signatures: {error}") from None
    except jwt.PyJWTError as error:  # its message has nothing of the key's value
        raise ValueError(f"{path} has an invalid key: {error}") from None
    except (LookupError, NotImplementedError, TypeError) as error:  # not caught by PyJWT for some malformed keys
        raise ValueError(f"{path} has a malformed key: {error!r}") from None
    too_short = next(filter(None, messages), None)
    if too_short:
        raise ValueError(f"{path} has a key that is too short: {too_short}")
    return keys


def _library() -> ModuleType:
    try:
        import cryptography  # noqa: F401, PLC0415 - PyJWT does without, but then knows symmetric keys alone
        import jwt  # noqa: PLC0415 - only where keys are set, as above
    except ImportError:
        raise ValueError(f"tokens can't be verified: PyJWT and cryptography are not installed ({INSTALL})") from None
    return jwt


def _read(path: str) -> list[dict[str, Any]]:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    if len(raw) > _MAX_BYTES:
        raise ValueError(f"{path} is larger than {_MAX_BYTES} bytes")
    try:
        return msgspec.json.decode(raw, type=_Jwks).keys
    except msgspec.ValidationError as error:
        raise ValueError(f"{path} is not a JWKS (RFC 7517, 5): {error}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ValueError(f"{path} is not JSON") from None


def _verifies(jwk: dict[str, Any]) -> bool:
    """Return whether a key is not restricted to other uses, such as encryption (RFC 7517, 4.2 and 4.3)."""
    operations = jwk.get("key_ops")
    return jwk.get("use", "sig") == "sig" and (not isinstance(operations, list) or "verify" in operations)

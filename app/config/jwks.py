"""JSON Web Key Set of ECHO_JWKS (RFC 7517).

PyJWT and cryptography are imported only if keys are set: they are larger than everything else that the service needs.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

from app.http.text import quoted

INSTALL: Final = "pip install 'pyjwt[crypto]', or an image built with --build-arg requirements=requirements/jwt.txt"

_MOST_BYTES: Final = 1 << 20
_MOST_KEYS: Final = 64

# RFC 7518, 3.1; RFC 8037, 3.1; RFC 8812, 3.2: algorithms by key type and curve.
_ALGORITHMS: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("EC", "secp256k1"): ("ES256K",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
    ("oct", None): ("HS256", "HS384", "HS512"),
}
_TYPES: Final = tuple(dict.fromkeys(kind for kind, _ in _ALGORITHMS))
_CURVED: Final = frozenset(kind for kind, curve in _ALGORITHMS if curve)
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})  # RFC 7518, 6.2.2 and 6.3.2; RFC 8037, 2


class Key(msgspec.Struct, frozen=True):
    """Key: its kid, if it has one, and by algorithm a function that verifies a token's signature."""

    kid: str | None
    signed: dict[str, Callable[[str], bool]]


def load(path: str) -> tuple[Key, ...]:
    """Read the keys of a JWKS file that verify signatures; keys for encryption are ignored.

    Raise `ValueError` with a sentence if the file can't be read, has no keys, or an invalid one; or if the library is
    not installed.
    """
    jwt = _library()
    jwks = {f"key {number} of {path}": jwk for number, jwk in enumerate(_jwks(path), 1)}
    private = next((name for name, jwk in jwks.items() if not _PRIVATE.isdisjoint(jwk)), None)
    if private:
        raise ValueError(f"{private} is a private key: replace it with its public key")
    keys = tuple(_key(jwt, jwk, name) for name, jwk in jwks.items() if _verifies(jwk))
    if not keys:
        raise ValueError(f"{path} has no key for verifying signatures")
    kids = [key.kid for key in keys if key.kid is not None]
    for kid in kids:
        if kids.count(kid) > 1:
            raise ValueError(f"{path} has two keys with the kid {quoted(str(kid))}")
    return keys


def _library() -> ModuleType:
    try:
        import cryptography  # noqa: F401, PLC0415 - PyJWT does without, but then knows symmetric keys alone
        import jwt  # noqa: PLC0415 - only where keys are set, as above
    except ImportError:
        raise ValueError(f"tokens can't be verified: PyJWT and cryptography are not installed ({INSTALL})") from None
    return jwt


def _jwks(path: str) -> list[dict[str, Any]]:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    if len(raw) > _MOST_BYTES:
        raise ValueError(f"{path} is larger than {_MOST_BYTES} bytes")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ValueError(f"{path} is not JSON") from None
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ValueError(f'{path} is not a JWKS: an object with the list "keys" (RFC 7517, 5)')
    if not 0 < len(keys) <= _MOST_KEYS:
        raise ValueError(f"{path} has {len(keys)} keys: must be 1 to {_MOST_KEYS}")
    return keys


def _verifies(jwk: dict[str, Any]) -> bool:
    """Return whether a key is not restricted to other uses, such as encryption (RFC 7517, 4.2 and 4.3)."""
    operations = jwk.get("key_ops")
    return jwk.get("use", "sig") == "sig" and (not isinstance(operations, list) or "verify" in operations)


def _key(jwt: ModuleType, jwk: dict[str, Any], name: str) -> Key:
    kid, kind, curve = jwk.get("kid"), jwk.get("kty"), jwk.get("crv")
    if kid is not None and not isinstance(kid, str):
        raise ValueError(f"the kid of {name} is not a string")
    name = name if kid is None else f"{name}, {quoted(str(kid))},"
    if kind not in _TYPES:
        raise ValueError(f"{name} has the unsupported kty {quoted(str(kind))}: must be one of {', '.join(_TYPES)}")
    algorithms = _ALGORITHMS.get((kind, curve if kind in _CURVED and isinstance(curve, str) else None))
    if algorithms is None:
        raise ValueError(f"{name} has the crv {quoted(str(curve))}, which is not supported for {kind}")
    chosen = jwk.get("alg")
    if chosen is not None and chosen not in algorithms:
        raise ValueError(
            f"{name} has the alg {quoted(str(chosen))}, but its type supports only {', '.join(algorithms)}"
        )
    return Key(kid, _signed(jwt, jwk, (chosen,) if chosen else algorithms, name))


def _signed(
    jwt: ModuleType, jwk: dict[str, Any], algorithms: tuple[str, ...], name: str
) -> dict[str, Callable[[str], bool]]:
    """Return the verify functions by algorithm.

    Algorithms for which the key is too short (RFC 7518, 3.2 and 3.3) are omitted. Raise `ValueError` with a sentence if
    the key is invalid, or too short for all of them.
    """
    found = {}
    for algorithm in algorithms:
        try:
            key = jwt.PyJWK(jwk, algorithm=algorithm)
            short = key.Algorithm.check_key_length(key.Algorithm.prepare_key(key.key))
        except (jwt.PyJWTError, LookupError, TypeError, ValueError):
            raise ValueError(f"{name} is not a valid key of type {jwk['kty']}") from None
        if not short:
            found[algorithm] = _signed_by(jwt, key, algorithm)
    if not found:
        raise ValueError(f"{name} is too short for {', '.join(algorithms)} (RFC 7518, 3.2 and 3.3)")
    return found


def _signed_by(jwt: ModuleType, key: object, algorithm: str) -> Callable[[str], bool]:
    def signed(token: str) -> bool:
        try:
            jwt.api_jws.decode_complete(token, key, algorithms=[algorithm])
        except (jwt.PyJWTError, TypeError, ValueError):
            return False
        return True

    return signed

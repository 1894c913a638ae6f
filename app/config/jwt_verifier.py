"""Verification of JSON Web Tokens by PyJWT: signature, algorithm, times.

A key allows one algorithm (RFC 8725, 3.1): its `alg`, else PyJWT's default for its type and curve. The token only names
the one that was used. Its `jku`, `x5u`, `jwk` and `x5c` are ignored. The audience (`aud`) is not checked: an echo
service is not a recipient of its own.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from app.http.headers.jwt import DecodedToken, TokenVerifier
from app.http.text import shorten

if TYPE_CHECKING:
    from jwt import PyJWK, PyJWKSet
    from jwt.types import Options

_MAX_CANDIDATES: Final = 8  # keys tried for a token: each costs up to a millisecond
_MAX_REASON: Final = 120  # characters: PyJWT's messages quote values of a token's header at full length

# Of a token's claims only its times, exp and nbf, are checked; without leeway, to the second.
_OPTIONS: Final["Options"] = {
    "enforce_minimum_key_length": True,  # RFC 7518, 3.2 and 3.3
    "verify_aud": False,
    "verify_iat": False,
    "verify_jti": False,
    "verify_sub": False,
}


def make_verifier(keys: "PyJWKSet") -> TokenVerifier:
    """Return a function that verifies tokens with these keys; its reasons are PyJWT's messages."""
    import jwt  # noqa: PLC0415 - only if keys are set, as in `jwks`

    def verify(token: str, decoded: DecodedToken) -> str | None:
        try:
            candidates = _candidates(keys, decoded.header)
        except LookupError as error:
            return shorten(str(error.args[0]), _MAX_REASON)
        if len(candidates) > _MAX_CANDIDATES:
            return f"more than {_MAX_CANDIDATES} keys of ECHO_JWKS are for its alg: it needs a kid"
        reason = "no key of ECHO_JWKS is for it"
        for key in candidates:
            try:
                jwt.decode(token, key, options=_OPTIONS)
            except jwt.InvalidSignatureError as error:
                reason = str(error)
            except jwt.PyJWTError as error:
                return shorten(str(error), _MAX_REASON)
            else:
                return None
        return reason

    return verify


def _candidates(keys: "PyJWKSet", header: Mapping[str, Any]) -> "list[PyJWK]":
    """Return the keys for a token's `kid`, if it has one, and `alg`.

    If there are none, return a key for which PyJWT's reason to reject the token says so. Raise `KeyError` if no key has
    its `kid`.
    """
    kid, algorithm = header.get("kid"), header.get("alg")
    candidates = [key for key in keys if key.algorithm_name == algorithm and kid in (None, key.key_id)]
    return candidates or [keys.keys[0] if kid is None else keys[kid]]

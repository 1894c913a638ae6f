"""Credentials in a request: Basic credentials and JSON Web Tokens.

Tokens are verified only if keys are set (ECHO_JWKS).
"""

import binascii
import re
from base64 import b64decode
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from app.config.policy import Policy
from app.http.headers.jwt import decode_token, looks_like_token
from app.http.headers.names import canonical_name
from app.http.redaction import MASK
from app.http.request import decode_lossless
from app.http.tokens import TCHAR

NO_KEYS: Final = "no keys are set (ECHO_JWKS)"

_AUTHORIZATION: Final = "Authorization"
_MAX_TOKENS: Final = 8  # maximum per request: verifying one takes up to a millisecond
_MAX_SCHEME_LENGTH: Final = 32
_SCHEME = re.compile(rf"({TCHAR}++)(?: ++([^ ].*))?", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Basic(msgspec.Struct, frozen=True):
    """Basic credentials (RFC 7617).

    The password is masked unless ECHO_SHOW_PASSWORDS is on.
    """

    user: str
    password: str


class Jwt(msgspec.Struct, frozen=True, rename="camel"):
    """A decoded JSON Web Token (RFC 7519).

    `field` is the name of the HTTP header that contains it. `verified` is true only if a key of ECHO_JWKS verifies its
    signature and its times are valid; otherwise `not_verified` is the reason.
    """

    field: str
    header: dict[str, Any]
    claims: dict[str, Any]
    verified: bool
    not_verified: str | UnsetType = UNSET


class Credentials(msgspec.Struct, frozen=True):
    """The credentials in a request's headers.

    `invalid` has, by header name, the reason why a credential is invalid.
    """

    scheme: str | UnsetType = UNSET
    basic: Basic | UnsetType = UNSET
    jwt: list[Jwt] | UnsetType = UNSET
    invalid: dict[str, str] | UnsetType = UNSET


def parse_credentials(headers: dict[str, list[str]], policy: Policy) -> Credentials | UnsetType:
    """Return the credentials in the headers (lossless text by canonical name), `UNSET` if there are none."""
    if _AUTHORIZATION not in headers and not policy.jwt_headers:
        return UNSET
    invalid: dict[str, str] = {}
    scheme, parameters = _parse_authorization(headers.get(_AUTHORIZATION, []), invalid)
    basic: Basic | UnsetType = UNSET
    encoded_tokens: list[tuple[str, str]] = []  # tokens, each after the name of its header
    if scheme and scheme.lower() == "basic":
        basic = _parse_basic(parameters, invalid, show_password=policy.show_passwords)
    elif scheme and scheme.lower() == "bearer" and looks_like_token(parameters):
        encoded_tokens.append((_AUTHORIZATION, parameters))
    for name in sorted({canonical_name(name.encode("ascii")) for name in policy.jwt_headers} - {_AUTHORIZATION}):
        encoded_tokens += [(name, _without_scheme(value)) for value in headers.get(name, []) if value != MASK]
    for name, _ in encoded_tokens[_MAX_TOKENS:]:
        invalid[name] = f"only the first {_MAX_TOKENS} tokens of a request are decoded"
    tokens = [
        token for name, text in encoded_tokens[:_MAX_TOKENS] if (token := _decode_jwt(name, text, policy, invalid))
    ]
    credentials = Credentials(scheme or UNSET, basic, tokens or UNSET, invalid or UNSET)
    return UNSET if credentials == Credentials() else credentials


def _parse_authorization(values: list[str], invalid: dict[str, str]) -> tuple[str, str]:
    """Return the scheme and the rest of Authorization (RFC 9110, 11.4); empty if absent, masked or invalid."""
    if len(values) > 1:
        # Servers differ in which of several they use; RFC 9110, 5.3, allows only one.
        invalid[_AUTHORIZATION] = f"sent {len(values)} times; must be one header"
        return "", ""
    if not values or values[0] == MASK:
        return "", ""
    match = _SCHEME.fullmatch(values[0])
    if match is None or len(match[1]) > _MAX_SCHEME_LENGTH:
        invalid[_AUTHORIZATION] = "it does not begin with a scheme, such as Basic or Bearer"
        return "", ""
    return match[1], match[2] or ""


def _parse_basic(text: str, invalid: dict[str, str], *, show_password: bool) -> Basic | UnsetType:
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        invalid[_AUTHORIZATION] = "what follows Basic is not base64 (RFC 7617, 2)"
        return UNSET
    user, colon, password = raw.partition(b":")
    if not colon:
        invalid[_AUTHORIZATION] = "no colon between user name and password (RFC 7617, 2)"
        return UNSET
    if _CONTROL.search(raw.decode("latin-1")):
        invalid[_AUTHORIZATION] = "the user name or the password has a control character (RFC 7617, 2)"
    return Basic(decode_lossless(user), decode_lossless(password) if show_password else MASK)


def _without_scheme(value: str) -> str:
    scheme, _, parameters = value.partition(" ")
    return parameters.strip(" ") if scheme.lower() == "bearer" else value


def _decode_jwt(name: str, text: str, policy: Policy, invalid: dict[str, str]) -> Jwt | None:
    try:
        decoded_token = decode_token(text)
    except ValueError as error:
        invalid[name] = f"not a JSON Web Token: {error}"
        return None
    reason = policy.verify_token(text, decoded_token) if policy.verify_token else NO_KEYS
    return Jwt(name, decoded_token.header, decoded_token.claims, reason is None, UNSET if reason is None else reason)

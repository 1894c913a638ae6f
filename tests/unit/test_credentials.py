"""Credentials: Basic and tokens, decoded, and verified only by a callback."""

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from app.config.downward_api import read_pod_info
from app.config.policy import Policy
from app.echo.reflection.credentials import NO_KEYS, Basic, Credentials, parse_credentials
from app.http.headers.jwt import MAX_CHARACTERS, MAX_DEPTH, DecodedToken, TokenVerifier, decode_token
from app.http.request import decode_lossless
from tests.unit.signing import CLAIMS, SECRET, part, signed

HERE = read_pod_info({})


def policy(verify: TokenVerifier | None = None, *fields: str, show_passwords: bool = False) -> Policy:
    """Return a policy for showing credentials."""
    return Policy(HERE, jwt_headers=frozenset(fields), show_passwords=show_passwords, verify_token=verify)


def found(value: str | list[str], policy: Policy = policy()) -> Credentials:  # noqa: B008 - it can't be changed
    """Return the credentials of a request with such an Authorization header; check that there are some."""
    credentials = parse_credentials({"Authorization": [value] if isinstance(value, str) else value}, policy)
    assert isinstance(credentials, Credentials)
    return credentials


def basic(text: bytes) -> str:
    """Return the header value of Basic credentials."""
    return "Basic " + b64encode(text).decode()


def test_without_a_field_there_are_no_credentials() -> None:
    """Without a header, credentials are unset and absent from the reflection.

    This also holds if a configured token header is missing.
    """
    assert parse_credentials({"Host": ["echo.test"]}, policy()) is UNSET
    assert parse_credentials({"Host": ["echo.test"]}, policy(None, "x-token")) is UNSET


@pytest.mark.parametrize("value", ["Digest username=a", "Negotiate", "AWS4-HMAC-SHA256 Credential=a/b"])
def test_another_scheme_is_named(value: str) -> None:
    """Another scheme is named without an error, and without details."""
    assert found(value) == Credentials(value.partition(" ")[0])


@pytest.mark.parametrize("value", ["", "Größe", "a,b", "t" * 33, " x"])
def test_a_value_without_a_scheme_is_explained(value: str) -> None:
    """A value without a scheme, such as a token alone, gets an explanation."""
    assert found(value) == Credentials(
        invalid={"Authorization": "it does not begin with a scheme, such as Basic or Bearer"}
    )


def test_two_authorizations_are_not_chosen_among() -> None:
    """Two Authorization headers are rejected, because servers differ in which they use."""
    assert found([basic(b"a:b"), basic(b"c:d")]) == Credentials(
        invalid={"Authorization": "sent 2 times; must be one header"}
    )


@pytest.mark.parametrize(
    ("text", "user", "password"),
    [
        (b"Aladdin:open sesame", "Aladdin", "open sesame"),
        ("müller:pa:ss€".encode(), "müller", "pa:ss€"),
        (b":", "", ""),
        (b"m\xfcller:x", r"m\xfcller", "x"),
    ],
)
def test_basic_credentials_are_decoded_and_the_password_is_masked(text: bytes, user: str, password: str) -> None:
    """Basic credentials are UTF-8 (RFC 7617, 2.1); the password is shown only if the operator enables it."""
    assert found(basic(text)) == Credentials("Basic", Basic(user, "***"))
    assert found(basic(text), policy(show_passwords=True)) == Credentials("Basic", Basic(user, password))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("Basic", "no colon between"),
        (basic(b"alice"), "no colon between"),
        ("Basic YTpi!", "what follows Basic is not base64"),
        ("basic YTp", "what follows Basic is not base64"),
        ("Basic é", "what follows Basic is not base64"),
    ],
)
def test_basic_credentials_that_cant_be_read_are_explained(value: str, told: str) -> None:
    """Invalid Basic credentials are explained, and their scheme is named."""
    credentials = found(value)
    assert credentials.basic is UNSET
    assert credentials.invalid
    assert credentials.invalid["Authorization"].startswith(told)
    assert credentials.scheme == value.partition(" ")[0]


def test_a_control_character_in_basic_credentials_is_told() -> None:
    """Control characters in Basic credentials are reported and shown, though RFC 7617 allows none."""
    credentials = found(basic(b"a\nb:c"))
    assert credentials.basic == Basic("a\nb", "***")
    assert credentials.invalid == {
        "Authorization": "the user name or the password has a control character (RFC 7617, 2)"
    }


def test_a_token_is_decoded_and_marked_as_not_verified() -> None:
    """A token is not verified if no keys are configured."""
    token = signed(SECRET, "HS256", kid="1")
    assert msgspec.to_builtins(found(f"bearer {token}")) == {
        "scheme": "bearer",
        "jwt": [
            {
                "field": "Authorization",
                "header": {"alg": "HS256", "kid": "1", "typ": "JWT"},
                "claims": CLAIMS,
                "verified": False,
                "notVerified": NO_KEYS,
            }
        ],
    }


def test_a_chosen_field_may_hold_a_token_too() -> None:
    """A configured header may contain a token, with Bearer or alone, padded or not; anything else is explained."""
    token = signed(SECRET, "HS256")
    padded = ".".join(each + "=" * (-len(each) % 4) for each in token.split("."))
    headers = {"X-Jwt-Assertion": [token, f"Bearer {token}"], "X-Amzn-Oidc-Data": [padded], "X-Other": ["opaque"]}
    credentials = parse_credentials(headers, policy(None, "x-jwt-assertion", "x-amzn-oidc-data", "x-other", "x-absent"))
    assert credentials
    assert credentials.scheme is UNSET
    assert credentials.jwt
    assert [each.field for each in credentials.jwt] == ["X-Amzn-Oidc-Data", "X-Jwt-Assertion", "X-Jwt-Assertion"]
    assert all(each.claims == CLAIMS for each in credentials.jwt)
    assert credentials.invalid == {"X-Other": "not a JSON Web Token: it has 0 dots, not 2"}


def test_a_bearer_token_that_is_no_jwt_is_no_mistake() -> None:
    """An opaque bearer token is no error, and only its scheme is shown."""
    for opaque in ("Bearer", "Bearer mF_9.B5f-4.1JqM", "Bearer ey", "Bearer " + "x" * 60_000):
        assert found(opaque) == Credentials("Bearer")


HEADER = part({"alg": "none"})
HUGE = b'{"a":' + b"9" * 5000 + b"}"
TOO_DEEP = b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}"
MUCH_TOO_DEEP = b'{"a":' * 2000 + b"1" + b"}" * 2000


@pytest.mark.parametrize(
    ("token", "told"),
    [
        pytest.param(f"{HEADER}.{part(CLAIMS)}", "it has 1 dots, not 2", id="two parts"),
        pytest.param(f"{HEADER}.a.b.c.d", "it is encrypted (JWE): only its receiver can read it", id="JWE"),
        pytest.param(f"{HEADER}.a.b.c.d.e.f", "it has 6 dots, not 2", id="seven parts"),
        pytest.param(f"{HEADER}.!.", "its payload is not base64url", id="another alphabet"),
        pytest.param(f"{HEADER}.a.", "its payload is not base64url", id="half a byte"),
        pytest.param(f"{HEADER}..", "its payload is not JSON", id="no payload"),
        pytest.param(f"{HEADER}.{part(b'{')}.", "its payload is not JSON", id="no JSON"),
        pytest.param(f"{HEADER}.{part([1])}.", "its payload is JSON, but not an object", id="no object"),
        pytest.param(f"{HEADER}.{part(HUGE)}.", "its payload is not JSON", id="a huge number"),
        pytest.param(f"{HEADER}.{part(MUCH_TOO_DEEP)}.", "its payload is", id="too deep to read"),
        pytest.param(
            f"{HEADER}.{part(TOO_DEEP)}.",
            f"its payload is nested more than {MAX_DEPTH} levels deep",
            id="too deep",
        ),
        pytest.param(f"{HEADER}.{'a' * MAX_CHARACTERS}.", "it has ", id="too long"),
    ],
)
def test_a_token_that_cant_be_read_is_explained(token: str, told: str) -> None:
    """An invalid value that starts like a token is explained: most likely it was cut or mangled on the way."""
    credentials = found(f"Bearer {token}")
    assert credentials.jwt is UNSET
    assert credentials.invalid
    assert credentials.invalid["Authorization"].startswith(f"not a JSON Web Token: {told}")


def test_claims_may_be_nested_to_the_bound() -> None:
    """Claims may be nested up to the limit, of which the claims themselves are the first level."""
    text = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert decode_token(f"{HEADER}.{part(text)}.").claims == msgspec.json.decode(text)


@pytest.mark.parametrize("told", [None, "it expired"])
def test_where_there_are_keys_they_say_whether_a_token_is_verified(told: str | None) -> None:
    """A verifier gets the raw and the decoded token, and its reason is shown."""
    token = signed(SECRET, "HS256")

    def verify(text: str, decoded: DecodedToken) -> str | None:
        return told if (text, decoded) == (token, decode_token(token)) else "another token"

    credentials = found(f"Bearer {token}", policy(verify))
    assert credentials.jwt
    assert (credentials.jwt[0].verified, credentials.jwt[0].not_verified) == (told is None, told or UNSET)


def test_the_number_of_tokens_is_bounded() -> None:
    """Only the first eight tokens are decoded, and it is reported that there were more."""
    token = signed(SECRET, "HS256")
    credentials = parse_credentials({"X-Token": [token] * 9}, policy(None, "x-token"))
    assert credentials
    assert credentials.jwt
    assert len(credentials.jwt) == 8
    assert credentials.invalid == {"X-Token": "only the first 8 tokens of a request are decoded"}


PARTS = st.one_of(
    st.binary(max_size=30).map(part),
    st.text("ey.JA_-= ", max_size=20),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: (
            st.dictionaries(st.sampled_from(["alg", "kid", "crit", "exp", "nbf"]), inner, max_size=4)
            | st.lists(inner, max_size=3)
        ),
    ).map(part),
    st.fixed_dictionaries({"alg": st.sampled_from(["HS256", "RS256", "none"])}).map(part),
)
VALUES = st.one_of(
    st.binary(max_size=40).map(decode_lossless),
    st.binary(max_size=20).map(basic),
    st.lists(PARTS, max_size=4).map(lambda parts: "Bearer " + ".".join(parts)),
)


@given(values=st.lists(VALUES, min_size=1, max_size=2), tokens=st.lists(VALUES, max_size=3))
def test_no_value_is_too_much(values: list[str], tokens: list[str]) -> None:
    """Any header values give credentials that can be encoded."""
    credentials = parse_credentials({"Authorization": values, "X-Token": tokens}, policy(None, "x-token"))
    assert msgspec.json.encode(credentials)
    assert isinstance(credentials, Credentials)
    assert not any(each.verified for each in credentials.jwt or ())


@given(
    header=st.dictionaries(st.text(), st.text() | st.integers() | st.none()),
    claims=st.dictionaries(st.text(), st.text()),
)
def test_what_is_decoded_is_what_was_encoded(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """Decoding returns what was encoded, whatever the names and values."""
    assert decode_token(f"{part(header)}.{part(claims)}.") == DecodedToken(header, claims)

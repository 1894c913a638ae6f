"""Verification of tokens: keys, algorithms, times, and reasons."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from app.bootstrap import read_configuration
from app.config.jwks import load_keys
from app.config.jwt_verifier import make_verifier
from app.http.headers.jwt import TokenVerifier, decode_token
from tests.unit.signing import (
    CLAIMS,
    EC_KEYS,
    ED448_KEY,
    ED_KEY,
    NOW,
    RSA_KEY,
    SECRET,
    SHORT_KEY,
    ec_jwk,
    ed_jwk,
    oct_jwk,
    part,
    rsa_jwk,
    signed,
)

Load = Callable[..., TokenVerifier]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Return a function that creates a verifier from these keys."""

    def loading(*jwks: dict[str, Any]) -> TokenVerifier:
        path = tmp_path / "jwks.json"
        path.write_bytes(msgspec.json.encode({"keys": jwks}))
        return make_verifier(load_keys(str(path)))

    return loading


def reason(verify: TokenVerifier, token: str) -> str | None:
    """Return why a token is not verified, None if it is."""
    return verify(token, decode_token(token))


PUBLIC = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

# PyJWT's messages.
FORGED = "Signature verification failed"
NOT_ALLOWED = "The specified alg value is not allowed"

SIGNED = {
    "RS256": (rsa_jwk(), RSA_KEY, "RS256"),
    "PS512": (rsa_jwk(alg="PS512"), RSA_KEY, "PS512"),
    "ES256": (ec_jwk("P-256"), EC_KEYS["P-256"], "ES256"),
    "ES384": (ec_jwk("P-384", alg="ES384"), EC_KEYS["P-384"], "ES384"),
    "Ed25519": (ed_jwk(), ED_KEY, "EdDSA"),
    "Ed448": (ed_jwk(ED448_KEY, alg="EdDSA"), ED448_KEY, "EdDSA"),
    "HS256": (oct_jwk(), SECRET, "HS256"),
    "HS512": (oct_jwk(alg="HS512"), SECRET, "HS512"),
}


@pytest.mark.parametrize(("jwk", "key", "algorithm"), SIGNED.values(), ids=SIGNED.keys())
@pytest.mark.parametrize("kid", [None, "one"])
def test_a_token_that_a_known_key_has_signed_is_verified(
    loaded: Load, jwk: dict[str, Any], key: Any, algorithm: str, kid: str | None
) -> None:
    """A token of each type and algorithm is verified, with or without a kid, and a changed claim is detected."""
    verify = loaded(rsa_jwk(SHORT_KEY, use="enc", alg="RSA-OAEP"), jwk if kid is None else jwk | {"kid": kid})
    token = signed(key, algorithm) if kid is None else signed(key, algorithm, kid=kid)
    assert reason(verify, token) is None
    header, _, signature = token.split(".")
    forged = f"{header}.{part(CLAIMS | {'sub': 'root'})}.{signature}"
    assert reason(verify, forged) == FORGED
    assert reason(verify, f"{header}.{part(CLAIMS)}.") == FORGED
    assert reason(verify, f"{header}.{part(CLAIMS)}.!") == "Invalid crypto padding"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("header", [{}, {"kid": "one"}])
def test_nobody_has_signed_it(loaded: Load, algorithm: str, header: dict[str, str]) -> None:
    """An unsigned token is never verified, however it spells the algorithm none."""
    token = f"{part({'alg': algorithm, **header})}.{part(CLAIMS)}."
    assert reason(loaded(oct_jwk(kid="one"), rsa_jwk()), token) == NOT_ALLOWED


def test_the_key_decides_the_algorithm(loaded: Load) -> None:
    """A public key is never used as a secret because a token requests HS256 (RFC 8725, 2.1), with or without a kid."""
    verify = loaded(rsa_jwk(kid="one", alg="RS256"))
    for header in ({"alg": "HS256", "kid": "one"}, {"alg": "HS256"}):
        signing_input = f"{part(header)}.{part(CLAIMS)}"
        mac = jwt.get_algorithm_by_name("HS256").sign(signing_input.encode(), PUBLIC)
        assert reason(verify, f"{signing_input}.{part(mac)}") == NOT_ALLOWED
    assert reason(verify, signed(RSA_KEY, "RS512", kid="one")) == NOT_ALLOWED
    assert reason(verify, signed(SECRET, "HS256")) == NOT_ALLOWED


def test_a_key_without_alg_has_one_algorithm(loaded: Load) -> None:
    """A key without `alg` is for one algorithm of its type and curve, as RFC 8725, 3.1, asks, not for all of them."""
    verify = loaded(rsa_jwk(), ec_jwk("P-384"), oct_jwk())
    assert reason(verify, signed(RSA_KEY, "RS256")) is None
    assert reason(verify, signed(EC_KEYS["P-384"], "ES384")) is None
    assert reason(verify, signed(SECRET, "HS256")) is None
    for key, algorithm in ((RSA_KEY, "RS512"), (RSA_KEY, "PS256"), (SECRET, "HS512")):
        assert reason(verify, signed(key, algorithm)) == NOT_ALLOWED


def test_keys_may_have_the_same_kid(loaded: Load) -> None:
    """Keys with the same kid are alternatives (RFC 7517, 4.5): each verifies the tokens that it has signed."""
    verify = loaded(oct_jwk(kid="a"), rsa_jwk(kid="a"), oct_jwk(b"s" * 32, kid="a"))
    assert reason(verify, signed(SECRET, "HS256", kid="a")) is None
    assert reason(verify, signed(RSA_KEY, "RS256", kid="a")) is None
    assert reason(verify, signed(b"s" * 32, "HS256", kid="a")) is None
    assert reason(verify, signed(b"t" * 32, "HS256", kid="a")) == FORGED


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({}, "Algorithm not specified"),
        ({"alg": ["HS256"]}, NOT_ALLOWED),
        ({"alg": "HS256", "kid": None}, "Key ID header parameter must be a string"),
        ({"alg": "HS256", "kid": "two"}, "keyset has no key for kid: two"),
        ({"alg": "HS256", "kid": 1}, "keyset has no key for kid: 1"),
        ({"alg": "HS256", "kid": "x" * 1000}, f"keyset has no key for kid: {'x' * 90}..."),
        ({"alg": "HS256", "crit": ["b64"], "b64": False}, "Payload segment must be empty when 'b64' is false."),
        ({"alg": "HS256", "crit": ["exp"], "exp": 1}, "Unsupported critical extension: exp"),
        ({"alg": "HS257"}, NOT_ALLOWED),
        ({"alg": "HS256", "jwk": oct_jwk(b"theirs" * 10)}, FORGED),
    ],
)
def test_a_header_that_leads_to_no_key_is_explained(loaded: Load, header: dict[str, Any], told: str) -> None:
    """A header that selects no key has a reason, and a key inside the token is never used."""
    body = f"{part(header)}.{part(CLAIMS)}"
    mac = jwt.get_algorithm_by_name("HS256").sign(body.encode(), b"theirs" * 10)
    assert reason(loaded(oct_jwk(kid="one")), f"{body}.{part(mac)}") == told


def test_not_every_key_is_tried(loaded: Load) -> None:
    """For a token without a kid, the number of tried keys is limited, because each try costs time."""
    verify = loaded(*(oct_jwk(bytes([number]) * 64) for number in range(9)))
    assert (
        reason(verify, signed(bytes([8]) * 64, "HS256"))
        == "more than 8 keys of ECHO_JWKS are for its alg: it needs a kid"
    )


HOUR = 3600  # seconds, as no test takes
EXPIRED = "Signature has expired"
IMMATURE = "The token is not yet valid (nbf)"
NO_EXP = "Expiration Time claim (exp) must be an integer."
NO_NBF = "Not Before claim (nbf) must be an integer."


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({}, None),
        ({"exp": NOW + HOUR}, None),
        ({"exp": NOW}, EXPIRED),
        ({"exp": -1e300}, EXPIRED),
        ({"exp": True}, EXPIRED),
        ({"exp": "tomorrow"}, NO_EXP),
        ({"exp": None}, NO_EXP),
        ({"nbf": NOW}, None),
        ({"nbf": NOW + HOUR}, IMMATURE),
        ({"nbf": 10**400}, IMMATURE),
        ({"nbf": {}}, NO_NBF),
        ({"iat": NOW + HOUR, "sub": 1, "jti": 1, "aud": "anybody"}, None),
    ],
)
def test_a_tokens_times_must_hold(loaded: Load, claims: dict[str, Any], told: str | None) -> None:
    """Times are checked to the second without leeway, and an invalid time is never accepted."""
    body = f"{part({'alg': 'HS256'})}.{part(claims)}"
    mac = jwt.get_algorithm_by_name("HS256").sign(body.encode(), SECRET)
    assert reason(loaded(oct_jwk()), f"{body}.{part(mac)}") == told


def private(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """Return a whole RSA key with its private part."""
    return RSAAlgorithm.to_jwk(key, as_dict=True)


UNUSABLE = "has no key for verifying signatures: The JWK Set did not contain any"
JWKS: dict[str, tuple[object, str]] = {
    "no JSON": (b"{", "is not JSON"),
    "no object": ([], "is not a JWKS"),
    "one key alone": (oct_jwk(), "is not a JWKS"),
    "no objects": ({"keys": ["a"]}, "is not a JWKS"),
    "no keys": ({"keys": []}, UNUSABLE),
    "too large": (b" " * (1 << 20) + b"{}", "is larger than 1048576 bytes"),
    "for encryption alone": ({"keys": [rsa_jwk(use="enc"), oct_jwk(key_ops=["sign"])]}, UNUSABLE),
    "a private key": ({"keys": [oct_jwk(), private(RSA_KEY)]}, "is a private key: replace it with its public key"),
    "no type": ({"keys": [{"k": "a"}]}, UNUSABLE),
    "an unknown type": ({"keys": [{"kty": "AKP", "kid": "pq"}]}, UNUSABLE),
    "a type that is no string": ({"keys": [{"kty": ["RSA"]}]}, UNUSABLE),
    "an unknown curve": ({"keys": [{"kty": "OKP", "crv": "X25519"}]}, UNUSABLE),
    "a curve that is no string": ({"keys": [{"kty": "EC", "crv": {}}]}, UNUSABLE),
    "another type's algorithm": ({"keys": [rsa_jwk(alg="HS256")]}, UNUSABLE),
    "an algorithm that is no string": ({"keys": [rsa_jwk(alg=["RS256"])]}, "has a malformed key: TypeError("),
    "another curve's algorithm": ({"keys": [ec_jwk("P-384", alg="ES256")]}, "curve 'secp384r1' does not match"),
    "no algorithm": ({"keys": [rsa_jwk(alg="none")]}, "has a malformed key: NotImplementedError()"),
    "half a key": ({"keys": [{"kty": "RSA", "n": "AQAB"}]}, UNUSABLE),
    "a key of another form": ({"keys": [{"kty": "RSA", "n": 1, "e": []}]}, UNUSABLE),
    "a point off its curve": ({"keys": [ec_jwk("P-256", x="A" * 43)]}, UNUSABLE),
    "no secret": ({"keys": [{"kty": "oct"}]}, "has a malformed key: KeyError('k')"),
    "an empty secret": ({"keys": [oct_jwk(b"")]}, UNUSABLE),
    "a short secret": ({"keys": [oct_jwk(b"k" * 31)]}, "is too short: The HMAC key is 31 bytes long"),
    "a short RSA key": ({"keys": [oct_jwk(), rsa_jwk(SHORT_KEY)]}, "is too short: The RSA key is 1024 bits long"),
    "a public key as a secret": ({"keys": [oct_jwk(PUBLIC)]}, "is an asymmetric key or x509 certificate"),
}


@pytest.mark.parametrize(("content", "told"), JWKS.values(), ids=JWKS.keys())
def test_a_file_that_cant_be_used_is_explained(tmp_path: Path, content: object, told: str) -> None:
    """An invalid key file is reported in one sentence with the file and the key."""
    path = tmp_path / "jwks.json"
    path.write_bytes(content if isinstance(content, bytes) else msgspec.json.encode(content))
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the whole sentence is looked at
        load_keys(str(path))
    assert told in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file or a folder is reported by name."""
    with pytest.raises(ValueError, match="absent can't be read: No such file or directory"):
        load_keys(str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="can't be read: Is a directory"):
        load_keys(str(tmp_path))


def test_a_key_that_cant_be_used_is_ignored(loaded: Load) -> None:
    """Keys of an unsupported type, curve or algorithm are ignored (RFC 7517, 5); those beside them are used."""
    verify = loaded(
        {"kty": "AKP", "kid": "pq"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        rsa_jwk(alg="RSA-OAEP"),
        rsa_jwk(alg="HS256", kid="confused"),
        oct_jwk(kid="one"),
    )
    assert reason(verify, signed(SECRET, "HS256", kid="one")) is None
    assert reason(verify, signed(SECRET, "HS256", kid="confused")) == "keyset has no key for kid: confused"


def test_a_secret_must_be_long_enough_for_its_algorithm(loaded: Load) -> None:
    """A secret needs as many bits as the hash of its algorithm (RFC 7518, 3.2)."""
    verify = loaded(oct_jwk(b"k" * 32, kid="one"))
    assert reason(verify, signed(b"k" * 32, "HS256", kid="one")) is None
    token = f"{part({'alg': 'HS512', 'kid': 'one'})}.{part(CLAIMS)}."
    assert reason(verify, token) == NOT_ALLOWED
    with pytest.raises(ValueError, match=r"is too short: The HMAC key is 32 bytes long.* 64 bytes for SHA512"):
        loaded(oct_jwk(b"k" * 32, alg="HS512"))


@pytest.mark.parametrize("absent", ["jwt", "cryptography"])
def test_without_the_library_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, absent: str
) -> None:
    """If a library is missing, startup with ECHO_JWKS fails with instructions.

    It neither ends in a traceback nor accepts unverified tokens.
    """
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ValueError, match=r"are not installed.*pip install.*--build-arg") as refusal:
        load_keys(str(tmp_path / "jwks.json"))
    assert str(refusal.value).startswith("tokens can't be verified: PyJWT and cryptography")


@pytest.fixture(scope="module")
def every_key(tmp_path_factory: pytest.TempPathFactory) -> TokenVerifier:
    """Return a verifier with a key of each type."""
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_bytes(msgspec.json.encode({"keys": [rsa_jwk(), ec_jwk("P-256"), ed_jwk(), oct_jwk()]}))
    return make_verifier(load_keys(str(path)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.dictionaries(st.text(), inner, max_size=3) | st.lists(inner, max_size=3),
)
ALGORITHMS = st.sampled_from(["HS256", "RS256", "PS384", "ES256", "EdDSA", "none"])
HEADERS = st.fixed_dictionaries({"alg": ALGORITHMS | VALUES}, optional={"kid": VALUES, "crit": VALUES})
TIMES = st.fixed_dictionaries({}, optional={"exp": VALUES, "nbf": VALUES})


@given(header=HEADERS, claims=TIMES, signature=st.binary(max_size=64).map(part) | st.text(".=A_", max_size=8))
def test_what_nobody_has_signed_is_never_believed(
    every_key: TokenVerifier, header: dict[str, Any], claims: dict[str, Any], signature: str
) -> None:
    """Any unsigned token has a reason, and none raises an error."""
    token = f"{part(header)}.{part(claims)}.{signature}"
    decoded = decode_token(f"{part(header)}.{part(claims)}.")
    assert every_key(token, decoded)


@given(claims=TIMES)
def test_whatever_the_times_are_they_are_explained(every_key: TokenVerifier, claims: dict[str, Any]) -> None:
    """A validly signed token can only be rejected for its times."""
    body = f"{part({'alg': 'HS256'})}.{part(claims)}"
    told = reason(every_key, f"{body}.{part(jwt.get_algorithm_by_name('HS256').sign(body.encode(), SECRET))}")
    assert told in {None, EXPIRED, IMMATURE, NO_EXP, NO_NBF}


def test_the_file_is_read_once_at_a_start() -> None:
    """The key file is read only once at startup, so it may be a pipe, as of a shell's `<(...)`.

    The keys that were validated are those that are used.
    """
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(msgspec.json.encode({"keys": [oct_jwk()]}))
        assert read_configuration({"ECHO_JWKS": f"/dev/fd/{reading}"}).policy.verify_token
    finally:
        os.close(reading)

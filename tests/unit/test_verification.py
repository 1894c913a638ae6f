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
from app.config.jwks import load
from app.config.jwt_verifier import verifier
from app.http.headers.jwt import Verify, decode
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

Load = Callable[..., Verify]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Return a function that creates a verifier from these keys, with a clock that stands still."""

    def loading(*jwks: dict[str, Any]) -> Verify:
        path = tmp_path / "jwks.json"
        path.write_bytes(msgspec.json.encode({"keys": jwks}))
        return verifier(load(str(path)), clock=lambda: NOW)

    return loading


def reason(verify: Verify, token: str) -> str | None:
    """Return why a token is not verified, None if it is."""
    return verify(token, decode(token))


SIGNED = {
    "RS256": (rsa_jwk(), RSA_KEY, "RS256"),
    "PS512": (rsa_jwk(), RSA_KEY, "PS512"),
    "ES256": (ec_jwk("P-256"), EC_KEYS["P-256"], "ES256"),
    "ES384": (ec_jwk("P-384", alg="ES384"), EC_KEYS["P-384"], "ES384"),
    "Ed25519": (ed_jwk(), ED_KEY, "EdDSA"),
    "Ed448": (ed_jwk(ED448_KEY), ED448_KEY, "EdDSA"),
    "HS256": (oct_jwk(), SECRET, "HS256"),
    "HS512": (oct_jwk(), SECRET, "HS512"),
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
    whose = "any key of ECHO_JWKS" if kid is None else "its key"
    assert reason(verify, forged) == f"its signature is not one of {whose}"
    assert reason(verify, f"{header}.{part(CLAIMS)}.") == f"its signature is not one of {whose}"
    assert reason(verify, f"{header}.{part(CLAIMS)}.!") == f"its signature is not one of {whose}"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("header", [{}, {"kid": "one"}])
def test_nobody_has_signed_it(loaded: Load, algorithm: str, header: dict[str, str]) -> None:
    """An unsigned token is never verified, however it spells the algorithm none."""
    token = f"{part({'alg': algorithm, **header})}.{part(CLAIMS)}."
    assert reason(loaded(oct_jwk(kid="one"), rsa_jwk()), token) == "its algorithm is none: nobody has signed it"


def test_the_key_decides_the_algorithm(loaded: Load) -> None:
    """A public key is never used as a secret because a token requests HS256 (RFC 8725, 2.1)."""
    verify = loaded(rsa_jwk(kid="one", alg="RS256"))
    public = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = part({"alg": "HS256", "kid": "one"}), part(CLAIMS)
    mac = jwt.get_algorithm_by_name("HS256").sign(f"{head}.{body}".encode(), public)
    confused = f"{head}.{body}.{part(mac)}"
    assert reason(verify, confused) == "its key is for RS256, and not for its algorithm, 'HS256'"
    assert reason(verify, signed(RSA_KEY, "RS512", kid="one")) == (
        "its key is for RS256, and not for its algorithm, 'RS512'"
    )
    assert reason(verify, signed(SECRET, "HS256")) == "no key of ECHO_JWKS is for its algorithm, 'HS256'"


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({}, "it names no algorithm (alg)"),
        ({"alg": ["HS256"]}, "it names no algorithm (alg)"),
        ({"alg": "HS256", "kid": None}, "its kid is not a string"),
        ({"alg": "HS256", "kid": "two"}, "no key of ECHO_JWKS has its kid, 'two'"),
        ({"alg": "HS256", "kid": "x" * 100}, f"no key of ECHO_JWKS has its kid, '{'x' * 37}...'"),
        ({"alg": "HS256", "crit": ["b64"], "b64": False}, "it asks for extensions (crit), and none is known here"),
        ({"alg": "HS257"}, "no key of ECHO_JWKS is for its algorithm, 'HS257'"),
        ({"alg": "HS256", "jwk": oct_jwk(b"theirs" * 10)}, "its signature is not one of any key of ECHO_JWKS"),
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
    assert reason(verify, signed(bytes([8]) * 64, "HS256")) == "it names no key (kid), and more than 8 could be its"


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({}, None),
        ({"exp": NOW + 0.5}, None),
        ({"exp": NOW}, "it expired at 2027-01-15T08:00:00Z"),
        ({"exp": -1e300}, "it expired at '-1e+300'"),
        ({"exp": str(NOW + 60)}, "its exp is not a number of seconds"),
        ({"exp": True}, "its exp is not a number of seconds"),
        ({"exp": None}, "its exp is not a number of seconds"),
        ({"nbf": NOW}, None),
        ({"nbf": NOW + 1}, "it is not valid before 2027-01-15T08:00:01Z"),
        ({"nbf": 10**400}, f"it is not valid before '1{'0' * 36}...'"),
        ({"nbf": {}}, "its nbf is not a number of seconds"),
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


JWKS: dict[str, tuple[object, str]] = {
    "no JSON": (b"{", "is not JSON"),
    "no object": ([], "is not a JWKS"),
    "one key alone": (oct_jwk(), "is not a JWKS"),
    "no objects": ({"keys": ["a"]}, "is not a JWKS"),
    "no keys": ({"keys": []}, "has 0 keys: must be 1 to 64"),
    "too many keys": ({"keys": [oct_jwk()] * 65}, "has 65 keys"),
    "too large": (b" " * (1 << 20) + b"{}", "is larger than 1048576 bytes"),
    "for encryption alone": ({"keys": [rsa_jwk(use="enc"), oct_jwk(key_ops=["sign"])]}, "has no key for verifying"),
    "a private key": ({"keys": [private(RSA_KEY)]}, "is a private key: replace it with its public key"),
    "no type": ({"keys": [{"k": "a"}]}, "has the unsupported kty 'None': must be one of RSA, EC, OKP, oct"),
    "an unknown type": ({"keys": [oct_jwk(), {"kty": "AKP", "kid": "pq"}]}, "'pq', has the unsupported kty 'AKP'"),
    "a type that is no string": ({"keys": [{"kty": ["RSA"]}]}, "has the unsupported kty"),
    "an unknown curve": ({"keys": [{"kty": "OKP", "crv": "X25519"}]}, "has the crv 'X25519', which is not supported"),
    "a curve that is no string": ({"keys": [{"kty": "EC", "crv": {}}]}, "has the crv '{}'"),
    "another type's algorithm": (
        {"keys": [rsa_jwk(alg="HS256")]},
        "has the alg 'HS256', but its type supports only RS256",
    ),
    "no algorithm": ({"keys": [rsa_jwk(alg="none")]}, "has the alg 'none', but its type supports only RS256"),
    "half a key": ({"keys": [{"kty": "RSA", "n": "AQAB"}]}, "is not a valid key of type RSA"),
    "a key of another form": ({"keys": [{"kty": "RSA", "n": 1, "e": []}]}, "is not a valid key of type RSA"),
    "a point off its curve": ({"keys": [ec_jwk("P-256", x="A" * 43)]}, "is not a valid key of type EC"),
    "an empty secret": ({"keys": [oct_jwk(b"")]}, "is not a valid key of type oct"),
    "a short secret": ({"keys": [oct_jwk(b"k" * 31)]}, "is too short for HS256, HS384, HS512"),
    "a short RSA key": ({"keys": [rsa_jwk(SHORT_KEY)]}, "is too short for RS256"),
    "a kid twice": ({"keys": [oct_jwk(kid="a"), rsa_jwk(kid="a")]}, "has two keys with the kid 'a'"),
    "a kid that is none": ({"keys": [oct_jwk(kid=1)]}, "the kid of key 1 of"),
}


@pytest.mark.parametrize(("content", "told"), JWKS.values(), ids=JWKS.keys())
def test_a_file_that_cant_be_used_is_explained(tmp_path: Path, content: object, told: str) -> None:
    """An invalid key file is reported in one sentence with the file and the key."""
    path = tmp_path / "jwks.json"
    path.write_bytes(content if isinstance(content, bytes) else msgspec.json.encode(content))
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the whole sentence is looked at
        load(str(path))
    assert told in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file or a folder is reported by name."""
    with pytest.raises(ValueError, match="absent can't be read: No such file or directory"):
        load(str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="can't be read: Is a directory"):
        load(str(tmp_path))


def test_a_secret_verifies_by_what_it_is_long_enough_for(loaded: Load) -> None:
    """A secret is only used with algorithms for which it is long enough: as many bits as the hash (RFC 7518, 3.2)."""
    verify = loaded(oct_jwk(b"k" * 32, kid="one"))
    assert reason(verify, signed(b"k" * 32, "HS256", kid="one")) is None
    token = f"{part({'alg': 'HS512', 'kid': 'one'})}.{part(CLAIMS)}."
    assert reason(verify, token) == "its key is for HS256, and not for its algorithm, 'HS512'"


@pytest.mark.parametrize("absent", ["jwt", "cryptography"])
def test_without_the_library_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, absent: str
) -> None:
    """If a library is missing, startup with ECHO_JWKS fails with instructions.

    It neither ends in a traceback nor accepts unverified tokens.
    """
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ValueError, match=r"are not installed.*pip install.*--build-arg") as refusal:
        load(str(tmp_path / "jwks.json"))
    assert str(refusal.value).startswith("tokens can't be verified: PyJWT and cryptography")


@pytest.fixture(scope="module")
def every_key(tmp_path_factory: pytest.TempPathFactory) -> Verify:
    """Return a verifier with a key of each type."""
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_bytes(msgspec.json.encode({"keys": [rsa_jwk(), ec_jwk("P-256"), ed_jwk(), oct_jwk()]}))
    return verifier(load(str(path)), clock=lambda: NOW)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.dictionaries(st.text(), inner, max_size=3) | st.lists(inner, max_size=3),
)
ALGORITHMS = st.sampled_from(["HS256", "RS256", "PS384", "ES256", "EdDSA", "none"])
HEADERS = st.fixed_dictionaries({"alg": ALGORITHMS | VALUES}, optional={"kid": VALUES, "crit": VALUES})
TIMES = st.fixed_dictionaries({}, optional={"exp": VALUES, "nbf": VALUES})


@given(header=HEADERS, claims=TIMES, signature=st.binary(max_size=64).map(part) | st.text(".=A_", max_size=8))
def test_what_nobody_has_signed_is_never_believed(
    every_key: Verify, header: dict[str, Any], claims: dict[str, Any], signature: str
) -> None:
    """Any unsigned token has a reason, and none raises an error."""
    token = f"{part(header)}.{part(claims)}.{signature}"
    decoded = decode(f"{part(header)}.{part(claims)}.")
    assert every_key(token, decoded)


@given(claims=TIMES)
def test_whatever_the_times_are_they_are_explained(every_key: Verify, claims: dict[str, Any]) -> None:
    """A validly signed token can only be rejected for its times."""
    body = f"{part({'alg': 'HS256'})}.{part(claims)}"
    told = reason(every_key, f"{body}.{part(jwt.get_algorithm_by_name('HS256').sign(body.encode(), SECRET))}")
    assert told is None or told.startswith(("its exp", "its nbf", "it expired at ", "it is not valid before "))


def test_the_file_is_read_once_at_a_start() -> None:
    """The key file is read only once at startup, so it may be a pipe, as of a shell's `<(...)`.

    The keys that were validated are those that are used.
    """
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(msgspec.json.encode({"keys": [oct_jwk()]}))
        assert read_configuration({"ECHO_JWKS": f"/dev/fd/{reading}"}).policy.verify
    finally:
        os.close(reading)

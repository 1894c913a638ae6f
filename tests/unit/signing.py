"""Keys, and tokens signed with them."""

import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

NOW = int(time.time())  # PyJWT compares with the system's clock
SECRET = b"k" * 64
CLAIMS = {"sub": "alice", "aud": "anybody", "exp": NOW + 3600, "nbf": NOW}

RSA_KEY = rsa.generate_private_key(65537, 2048)
SHORT_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is to be refused
EC_KEYS = {"P-256": ec.generate_private_key(ec.SECP256R1()), "P-384": ec.generate_private_key(ec.SECP384R1())}
ED_KEY, ED448_KEY = ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()


def rsa_jwk(key: rsa.RSAPrivateKey = RSA_KEY, **more: Any) -> dict[str, Any]:
    """Return the public part of an RSA key."""
    return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | more


def ec_jwk(curve: str, **more: Any) -> dict[str, Any]:
    """Return the public part of the key of a curve."""
    return ECAlgorithm.to_jwk(EC_KEYS[curve].public_key(), as_dict=True) | more


def ed_jwk(key: ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey = ED_KEY, **more: Any) -> dict[str, Any]:
    """Return the public part of an Edwards curve's key."""
    return OKPAlgorithm.to_jwk(key.public_key(), as_dict=True) | more


def oct_jwk(secret: bytes = SECRET, **more: Any) -> dict[str, Any]:
    """Return a secret as a key."""
    return {"kty": "oct", "k": urlsafe_b64encode(secret).decode().rstrip("="), **more}


def part(value: object) -> str:
    """Return a part of a token in base64url: a value's JSON, or bytes as they are."""
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return urlsafe_b64encode(raw).decode().rstrip("=")


def signed(key: Any, algorithm: str, claims: dict[str, Any] = CLAIMS, **header: Any) -> str:
    """Return a signed token."""
    return jwt.encode(claims, key, algorithm, headers=header)

"""Verification of JSON Web Tokens: signature, algorithm and times.

The key decides which algorithms are allowed (RFC 8725, 3.1), never the token, which only names the one that was used.
Its `jku`, `x5u`, `jwk` and `x5c` are ignored. The audience (`aud`) is not checked: an echo service is not a recipient
of its own.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from app.config.jwks import Key
from app.http.headers.jwt import Decoded, Verify
from app.http.text import quoted

_MOST_TRIES: Final = 8  # keys tried for a token without a kid: each costs up to a millisecond


def verifier(keys: tuple[Key, ...], clock: Callable[[], float] = time.time) -> Verify:
    """Return a function that verifies tokens with these keys; `clock` returns POSIX seconds."""
    named = {key.kid: key for key in keys if key.kid is not None}

    def verify(token: str, decoded: Decoded) -> str | None:
        header, claims = decoded
        algorithm = header.get("alg")
        reason = _unusable(header, algorithm)
        if reason is not None or not isinstance(algorithm, str):
            return reason
        if "kid" in header:
            fitting = [key] if (key := named.get(header["kid"])) else []
            reason = _unfit(fitting, header["kid"], algorithm)
            whose = "its key"
        else:
            fitting = [key for key in keys if algorithm in key.signed]
            reason = _none_or_many(fitting, algorithm)
            whose = "any key of ECHO_JWKS"
        if reason is not None:
            return reason
        if not any(key.signed[algorithm](token) for key in fitting):
            return f"its signature is not one of {whose}"
        return _out_of_time(claims, clock())

    return verify


def _unusable(header: dict[str, Any], algorithm: object) -> str | None:
    """Return what is wrong with a token's header, whatever the keys are (RFC 7515, 4.1)."""
    if not isinstance(algorithm, str):
        return "it names no algorithm (alg)"
    if algorithm.lower() == "none":
        return "its algorithm is none: nobody has signed it"
    if "crit" in header:
        return "it asks for extensions (crit), and none is known here"
    return None if isinstance(header.get("kid", ""), str) else "its kid is not a string"


def _unfit(named: list[Key], kid: str, algorithm: str) -> str | None:
    if not named:
        return f"no key of ECHO_JWKS has its kid, {quoted(str(kid))}"
    if algorithm not in named[0].signed:
        return f"its key is for {', '.join(named[0].signed)}, and not for its algorithm, {quoted(str(algorithm))}"
    return None


def _none_or_many(fitting: list[Key], algorithm: str) -> str | None:
    if not fitting:
        return f"no key of ECHO_JWKS is for its algorithm, {quoted(str(algorithm))}"
    return f"it names no key (kid), and more than {_MOST_TRIES} could be its" if len(fitting) > _MOST_TRIES else None


def _out_of_time(claims: dict[str, Any], now: float) -> str | None:
    """Return what is wrong with a token's times (RFC 7519, 4.1.4 and 4.1.5), without leeway."""
    for name in ("exp", "nbf"):
        if name not in claims:
            continue
        moment = claims[name]
        if isinstance(moment, bool) or not isinstance(moment, int | float):
            return f"its {name} is not a number of seconds"
        if name == "exp" and moment <= now:
            return f"it expired at {_time(moment)}"
        if name == "nbf" and moment > now:
            return f"it is not valid before {_time(moment)}"
    return None


def _time(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        return quoted(str(moment))

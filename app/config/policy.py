"""Policy: parsed values of the settings that are lists or files."""

from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

import msgspec

from app.config import jwks, jwt_verifier, otlp_endpoint
from app.config.downward_api import PodInfo
from app.config.settings import Settings, SettingsError
from app.http import networks, redaction
from app.http.headers.jwt import TokenVerifier


class DialectLimits(msgspec.Struct, frozen=True):
    """Limits of the controls in the dialects of other echo servers.

    A dialect's control is enabled if the corresponding control is in `allowed_controls`. `max_delay` is in seconds,
    `max_size` in bytes.
    """

    max_delay: float = 60.0
    max_size: int = 1 << 30
    allowed_controls: frozenset[str] = frozenset(("status", "delay", "header", "size"))


class Policy(msgspec.Struct, frozen=True):
    """Parsed settings that decide how requests are shown.

    `port` is ECHO_PORT. `trusted_proxies` are the networks of trusted proxies. A token is expected in Authorization and
    in the headers `jwt_headers` (lower case); `verify_token` verifies it, and is None without keys. `redacted_in_logs`
    are the headers (lower case) whose values are masked in logs, `redacted_in_responses` those masked in responses too.
    """

    pod_info: PodInfo
    port: int = 8080
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    jwt_headers: frozenset[str] = frozenset()
    show_passwords: bool = False
    dialect_limits: DialectLimits = DialectLimits()
    verify_token: TokenVerifier | None = None
    redacted_in_logs: frozenset[bytes] = frozenset()
    redacted_in_responses: frozenset[bytes] = frozenset()


# Parsers of settings that are lists, or name a file: each raises `ValueError` for an invalid value.
Parsers = Mapping[str, Callable[[str], Any]]
PARSERS: Final[Parsers] = {
    "jwks": jwks.load_keys,
    "jwt_headers": redaction.parse_header_names,
    "otlp_endpoint": otlp_endpoint.validate_endpoint,
    "redact": redaction.parse_header_names,
    "trusted_proxies": networks.parse_networks,
}


def caching_parsers() -> Parsers:
    """Return parsers that cache their results, so that one reading of the configuration reads each file once."""
    return {name: cache(reader) for name, reader in PARSERS.items()}


def build_policy(settings: Settings, pod_info: PodInfo, parsers: Parsers = PARSERS) -> Policy:
    """Build the policy from the settings, with these parsers. Raise `SettingsError` if a file is no longer valid."""

    def value(name: str, default: Any) -> Any:
        text = getattr(settings, name)
        try:
            return parsers[name](text) if text else default
        except ValueError as error:  # a file may have changed after the settings were read
            raise SettingsError(f"ECHO_{name.upper()}: {error}") from None

    keys = value("jwks", None)
    redacted_names = value("redact", frozenset())
    return Policy(
        pod_info,
        settings.port,
        value("trusted_proxies", ()),
        frozenset(name.decode("ascii") for name in value("jwt_headers", frozenset())),
        show_passwords=settings.show_passwords == "on",
        verify_token=jwt_verifier.make_verifier(keys) if keys else None,
        redacted_in_logs=redacted_names,
        redacted_in_responses=redacted_names if settings.redact_responses == "on" else frozenset(),
        dialect_limits=_dialect_limits(settings),
    )


def _dialect_limits(settings: Settings) -> DialectLimits:
    """Return the limits of dialect controls, which are those of echo's own controls."""
    allowed = frozenset(name for name in DialectLimits().allowed_controls if settings.allows(name))
    return DialectLimits(settings.max_delay, settings.max_size, allowed)

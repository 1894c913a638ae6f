"""Policy: parsed values of the settings that are lists or files."""

from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

import msgspec

from app.config import jwks, jwt_verifier, otlp_endpoint
from app.config.downward_api import Identity
from app.config.settings import Settings, SettingsError
from app.http import networks, redaction
from app.http.headers.jwt import Verify


class Limits(msgspec.Struct, frozen=True):
    """Limits of the controls in the dialects of other echo servers.

    A dialect's control is enabled if the corresponding control is in `allowed`. `max_delay` is in seconds, `max_size`
    in bytes.
    """

    max_delay: float = 60.0
    max_size: int = 1 << 30
    allowed: frozenset[str] = frozenset(("status", "delay", "header", "size"))


class Policy(msgspec.Struct, frozen=True):
    """Parsed settings that decide how requests are shown.

    `port` is ECHO_PORT. `trusted` are the networks of trusted proxies. A token is expected in Authorization and in the
    headers `jwt_fields` (lower case); `verify` verifies it, and is None without keys. `unlogged` are the headers (lower
    case) whose values are masked in logs, `hidden` those masked in responses too.
    """

    identity: Identity
    port: int = 8080
    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    jwt_fields: frozenset[str] = frozenset()
    show_passwords: bool = False
    limits: Limits = Limits()
    verify: Verify | None = None
    unlogged: frozenset[bytes] = frozenset()
    hidden: frozenset[bytes] = frozenset()


# Parsers of settings that are lists, or name a file: each raises `ValueError` for an invalid value.
Readers = Mapping[str, Callable[[str], Any]]
READERS: Final[Readers] = {
    "jwks": jwks.load,
    "jwt_headers": redaction.names,
    "otlp_endpoint": otlp_endpoint.endpoint,
    "redact": redaction.names,
    "trusted_proxies": networks.networks,
}


def readers() -> Readers:
    """Return parsers that cache their results, so that one reading of the configuration reads each file once."""
    return {name: cache(reader) for name, reader in READERS.items()}


def read(settings: Settings, identity: Identity, by: Readers = READERS) -> Policy:
    """Build the policy from the settings, with these parsers. Raise `SettingsError` if a file is no longer valid."""

    def value(name: str, nothing: Any) -> Any:
        text = getattr(settings, name)
        try:
            return by[name](text) if text else nothing
        except ValueError as error:  # a file may have changed after the settings were read
            raise SettingsError(f"ECHO_{name.upper()}: {error}") from None

    keys = value("jwks", None)
    unlogged = value("redact", frozenset())
    return Policy(
        identity,
        settings.port,
        value("trusted_proxies", ()),
        frozenset(name.decode("ascii") for name in value("jwt_headers", frozenset())),
        show_passwords=settings.show_passwords == "on",
        verify=jwt_verifier.verifier(keys) if keys else None,
        unlogged=unlogged,
        hidden=unlogged if settings.redact_responses == "on" else frozenset(),
        limits=_limits(settings),
    )


def _limits(settings: Settings) -> Limits:
    """Return the limits of dialect controls, which are those of echo's own controls."""
    allowed = frozenset(name for name in Limits().allowed if settings.allows(name))
    return Limits(settings.max_delay, settings.max_size, allowed)

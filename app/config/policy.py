"""What the operator has set of how requests are shown, made of the settings that are lists, files or names."""

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
    """What a client may ask for in another echo's dialect: of the controls that do the same, those that are `allowed`.

    `max_delay` is in seconds, `max_size` in bytes.
    """

    max_delay: float = 60.0
    max_size: int = 1 << 30
    allowed: frozenset[str] = frozenset(("status", "delay", "header", "size"))


class Policy(msgspec.Struct, frozen=True):
    """What the operator has set of how requests are shown.

    `port` is the echo's own. `trusted` are the networks whose proxies are believed. A token is looked for in
    Authorization and in `jwt_fields` (lower case); `verify` knows the keys, where there are any. `unlogged` are the
    fields (lower case) whose values no log shows, `hidden` those that no answer shows.
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


# How the texts of settings are read that are lists, or name a file: each raises `ValueError` for what it can't read.
Readers = Mapping[str, Callable[[str], Any]]
READERS: Final[Readers] = {
    "jwks": jwks.load,
    "jwt_headers": redaction.names,
    "otlp_endpoint": otlp_endpoint.endpoint,
    "redact": redaction.names,
    "trusted_proxies": networks.networks,
}


def readers() -> Readers:
    """Give readers that read a text, and the file that it names, once: for one reading of all that is configured."""
    return {name: cache(reader) for name, reader in READERS.items()}


def read(settings: Settings, identity: Identity, by: Readers = READERS) -> Policy:
    """Read the policy by these readers. Raises `SettingsError` for what can't be read any more."""

    def value(name: str, nothing: Any) -> Any:
        text = getattr(settings, name)
        try:
            return by[name](text) if text else nothing
        except ValueError as error:  # a file may have changed since the settings were read
            raise SettingsError(f"ECHO_{name.upper()}: {error}") from None

    keys = value("jwks", ())
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
    """Give how far a dialect may do what its own controls ask for: as far as the echo's own."""
    allowed = frozenset(name for name in Limits().allowed if settings.allows(name))
    return Limits(settings.max_delay, settings.max_size, allowed)

"""What the operator has set of how requests are shown, made of the settings that are lists, files or names."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from app.config import jwks, jwt_verifier
from app.config.downward_api import Identity
from app.config.settings import Settings, SettingsError
from app.echo.context import Limits, Policy
from app.echo.controls.definitions import BY_NAME
from app.http import networks, redaction
from app.telemetry import otlp

# How the texts of settings are read that are lists, or name a file: each raises `ValueError` for what it can't read.
Readers = Mapping[str, Callable[[str], Any]]
READERS: Final[Readers] = {
    "jwks": jwks.load,
    "jwt_headers": redaction.names,
    "otlp_endpoint": otlp.endpoint,
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
    allowed = frozenset(name for name in Limits().allowed if BY_NAME[name].allowed(settings))
    return Limits(settings.max_delay, settings.max_size, allowed)

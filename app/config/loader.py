"""Loader of the settings from the environment; it reports all mistakes."""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from app.config.field_types import convert
from app.config.settings import FIELDS_BY_VARIABLE, PREFIX, Settings, SettingsError
from app.http.text import quote_excerpt

# Settings that name a file, and how the content of such a file begins: it may be a secret, so error messages must not
# show it.
_FILES: Final = frozenset(("jwks", "tls_cert", "tls_client_ca", "tls_key"))
_FILE_CONTENT: Final = re.compile(r"\s*[{\[]|\s*-----BEGIN|[^\n]*\n")

_NO_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {}

# Kubernetes sets `NAME_SERVICE_HOST`, `NAME_PORT=tcp://...` and more in pods for each Service `name` of their
# namespace. Our Service is usually named `echo`, or its name begins with that: these variables are not settings.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(r"ECHO_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)")
_SERVICE_LINK_URL = re.compile(r"(tcp|udp|sctp)://")


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_LINK_URL.match(value)))


# Names of development versions: the most similar current name would be a wrong suggestion for some of them.
_RENAMED: Final = {
    "ECHO_HEAD_TIMEOUT": "ECHO_HEADER_TIMEOUT",
    "ECHO_JWT_FIELDS": "ECHO_JWT_HEADERS",
    "ECHO_MAX_FIELD": "ECHO_MAX_HEADER_BYTES",
    "ECHO_MAX_FIELDS": "ECHO_MAX_HEADERS",
    "ECHO_MAX_HEAD": "ECHO_MAX_HEADER_BYTES",
    "ECHO_MAX_HELD": "ECHO_MEMORY_BUDGET",
    "ECHO_REDACT_ANSWERS": "ECHO_REDACT_RESPONSES",
}


def read_settings(environ: Mapping[str, str], parsers: Mapping[str, Callable[[str], object]] = _NO_PARSERS) -> Settings:
    """Parse the settings in an environment.

    `parsers` are, by attribute name, additional parsers for values that the type can't check, such as a list or a file
    name: each raises `ValueError` for an invalid value. Raise `SettingsError` with a sentence for every unknown name
    and every invalid value, and for every contradiction between valid values.
    """
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    invalid_names: set[str] = set()
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or _is_service_link(name, value):
            continue
        try:
            values |= _parse_setting(name, value, parsers)
        except ValueError as error:
            mistakes.append(str(error))
            invalid_names.add(name)
    settings = Settings(**values)
    mistakes += [sentence for names, sentence in _contradictions(settings) if invalid_names.isdisjoint(names)]
    if mistakes:
        raise SettingsError(*mistakes)
    return settings


def _parse_setting(name: str, value: str, parsers: Mapping[str, Callable[[str], object]]) -> dict[str, Any]:
    """Parse one setting and return its attribute and value. Raise `ValueError` with a sentence."""
    field = FIELDS_BY_VARIABLE.get(name)
    if field is None:
        suggestions = [_RENAMED[name]] if name in _RENAMED else get_close_matches(name, FIELDS_BY_VARIABLE, n=1)
        hint = f"did you mean {suggestions[0]}?" if suggestions else "python -m app --help lists all settings"
        raise ValueError(f"{name} is not a setting; {hint}")
    if field.name in _FILES and _FILE_CONTENT.match(value):
        raise ValueError(f"{name} must be the path of a file, not its content")
    try:
        parsed_value = convert(value, field.type)
        if value and field.name in parsers:
            parsers[field.name](value)
    except ValueError as error:
        raise ValueError(f"{name}={quote_excerpt(value)}: {error}") from None
    return {field.name: parsed_value}


def _contradictions(settings: Settings) -> Iterator[tuple[list[str], str]]:
    """Yield a sentence for each contradiction, with the settings that it follows from.

    An invalid setting has its default here, so a contradiction that follows from one is not to be reported.
    """
    if settings.port == settings.admin_port:
        sentence = f"ECHO_PORT and ECHO_ADMIN_PORT are both {settings.port}: set different ports"
        yield ["ECHO_PORT", "ECHO_ADMIN_PORT"], sentence
    if bool(settings.tls_cert) != bool(settings.tls_key):
        yield ["ECHO_TLS_CERT", "ECHO_TLS_KEY"], "ECHO_TLS_CERT and ECHO_TLS_KEY go together: set both or neither"
    if not settings.tls_cert and (settings.tls_client_ca or settings.tls_only == "on"):
        # Either of the two is enough; an invalid one has its default, which needs no certificate.
        sentence = "ECHO_TLS_CLIENT_CA and ECHO_TLS_ONLY require ECHO_TLS_CERT and ECHO_TLS_KEY"
        yield ["ECHO_TLS_CERT"], sentence

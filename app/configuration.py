"""Configuration: validated settings, policy and TLS certificates, read at startup."""

from collections.abc import Mapping
from typing import NamedTuple

from app.config import downward_api, policy, settings
from app.config.policy import Policy
from app.config.settings import Settings
from app.server import tls
from app.server.process import file_limits
from app.server.tls import Contexts
from app.telemetry import otlp


class Configuration(NamedTuple):
    """Settings, and what is derived from those that name files; `contexts` is None without TLS.

    `note` is a sentence about a setting that had to be reduced, or empty.
    """

    settings: Settings
    policy: Policy
    contexts: Contexts | None
    note: str


def read(environ: Mapping[str, str]) -> Configuration:
    """Read the environment, and every file that it names. Raise `SettingsError` or `TlsError`."""
    # A validated file is not read again before it is used. Sending spans requires a library, which is checked too.
    readers = {**policy.readers(), "otlp_endpoint": otlp.endpoint}
    configured, note = file_limits.fitted(settings.read(environ, readers))
    how = policy.read(configured, downward_api.read(environ), readers)
    files = tls.files_of(configured)
    return Configuration(configured, how, Contexts(files) if files else None, note)

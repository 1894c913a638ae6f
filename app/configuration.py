"""All that an operator has set, read and found good: at the start, and again on SIGHUP."""

from collections.abc import Mapping
from typing import NamedTuple

from app.config import downward_api, policy, settings
from app.config.policy import Policy
from app.config.settings import Settings, SettingsError
from app.server import tls
from app.server.process import file_limits
from app.server.tls import Contexts, TlsError
from app.telemetry import otlp

# What `read` raises: each of `args` is a sentence.
MISTAKES = (SettingsError, TlsError)


class Configuration(NamedTuple):
    """The settings, and what was made of those that name files; `contexts` is None where TLS is not served.

    `note` says what can't be kept to as it is set, or nothing.
    """

    settings: Settings
    policy: Policy
    contexts: Contexts | None
    note: str


def read(environ: Mapping[str, str]) -> Configuration:
    """Read the environment, and every file that it names. Raises one of `MISTAKES`."""
    # What is found good is what is served with: a file is not read again. To send spans, a library must be there, too.
    readers = {**policy.readers(), "otlp_endpoint": otlp.endpoint}
    configured, note = file_limits.fitted(settings.read(environ, readers))
    how = policy.read(configured, downward_api.read(environ), readers)
    files = tls.files_of(configured)
    return Configuration(configured, how, Contexts(files) if files else None, note)

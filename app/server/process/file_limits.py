"""File descriptors: as many connections are taken as this process may have files open (getrlimit(2)).

Where none is left, libuv takes whoever connects and closes the connection without a word, probes too: nothing says why.
"""

import resource
from typing import Final

from msgspec import structs

from app.config.settings import Settings

# For listeners, probes, files, libraries, and connections that are refused and not closed yet: a worker has 20 itself.
_RESERVE: Final = 256


def fitted(settings: Settings) -> tuple[Settings, str]:
    """Raise the limit of open files as far as the settings need and the system allows, for this process and workers.

    Gives the settings as they can be kept to, and what is to be said of that: a sentence, or nothing.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = hard if hard != resource.RLIM_INFINITY else settings.max_connections + _RESERVE
    needed = min(settings.max_connections + _RESERVE, allowed)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    most = connections(allowed)
    if settings.max_connections <= most:
        return settings, ""
    return structs.replace(settings, max_connections=most), (
        f"ECHO_MAX_CONNECTIONS={settings.max_connections} is reduced to {most}: the limit of open files is {allowed}"
        " (ulimit -n)"
    )


def connections(files: int) -> int:
    """Give how many connections fit into so many open files; of few, a quarter is kept back."""
    return max(1, files - min(_RESERVE, max(32, files // 4)))

"""File descriptor limit, and the connections that fit (getrlimit(2)).

If descriptors are exhausted, libuv accepts connections, those of probes too, and closes them without a message: nothing
reports why.
"""

import resource
from typing import Final

from msgspec import structs

from app.config.settings import Settings

# For listeners, probes, files, libraries, and rejected connections not closed yet: a worker has 20 itself.
_RESERVE: Final = 256


def raise_open_file_limit(settings: Settings) -> tuple[Settings, str]:
    """Raise the limit of open files as far as the settings need and the system allows, for this process and workers.

    Return the settings that fit, and a message if they were reduced, otherwise an empty string.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = hard if hard != resource.RLIM_INFINITY else settings.max_connections + _RESERVE
    needed = min(settings.max_connections + _RESERVE, allowed)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    max_connections = connections_for_files(allowed)
    if settings.max_connections <= max_connections:
        return settings, ""
    return structs.replace(settings, max_connections=max_connections), (
        f"ECHO_MAX_CONNECTIONS={settings.max_connections} is reduced to {max_connections}:"
        f" the limit of open files is {allowed} (ulimit -n)"
    )


def connections_for_files(files: int) -> int:
    """Return how many connections fit into a number of open files; of a small number, a quarter is reserved."""
    return max(1, files - min(_RESERVE, max(32, files // 4)))

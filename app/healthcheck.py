"""`python -m app.healthcheck`: whether the echo beside it is ready. For an image without a shell and without curl."""

import http.client
import os
import sys
from collections.abc import Mapping

from app import listeners, settings

TIMEOUT = 2.0  # seconds


def main(environ: Mapping[str, str]) -> int:
    """Ask the admin port for its readiness. Gives 0 when ready, else 1 and a line on stderr that says why."""
    # Of all settings only these: a file with others may have mistakes by now, which the echo beside it has not taken.
    configured = settings.read({name: value for name, value in environ.items() if name in settings.FIXED})
    client = http.client.HTTPConnection(listeners.near(configured.host), configured.admin_port, timeout=TIMEOUT)
    try:
        client.request("GET", "/readyz")
        answer = client.getresponse()
        told = answer.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        print(f"not ready: {error}", file=sys.stderr)
        return 1
    finally:
        client.close()
    if answer.status == http.client.OK:
        return 0
    print(f"not ready: {answer.status} {told}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(os.environ))

"""`python -m app` starts the echo."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from app import __version__, identity, listeners, policy, settings
from app.carrier import tls
from app.server import Server

BAD_SETTINGS = 2  # as for a wrong command line


def announcement(configured: settings.Settings) -> str:
    """Give two lines: where it listens, and what to try."""
    host = listeners.near(configured.host)
    host = f"[{host}]" if ":" in host else host  # RFC 3986, 3.2.2
    secure = configured.tls_only == "on"
    url = f"{'https' if secure else 'http'}://{host}:{configured.port}"
    flags = "--haproxy-protocol " if configured.proxy_protocol == "on" else ""
    flags += (
        "--insecure " if secure else ""
    )  # the certificate need not be for this address, nor curl know who signed it
    return (
        f"echo {__version__} listens on {url}"
        f" (for the cluster: http://{host}:{configured.admin_port}/readyz); Ctrl-C stops it\n"
        f"Try: curl {flags}{url}/blah/blah"
    )


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Serve until stopped. Gives the exit code; mistakes are told on stderr, a line each."""
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description="Starts the echo. It is set by environment variables alone; in parentheses stand the defaults.",
        epilog=settings.table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"echo {__version__}")
    parser.parse_args(argv)
    try:
        configured = settings.read(environ, policy.READERS)
        how = policy.read(configured, identity.read(environ))
        files = tls.files_of(configured)
        contexts = tls.Contexts(files) if files else None
        sockets = listeners.bind(configured)
    except settings.SettingsError as error:
        print(*(f"echo: {mistake}" for mistake in error.args), sep="\n", file=sys.stderr)
        return BAD_SETTINGS
    except (listeners.ListenError, tls.TlsError) as error:
        print(f"echo: {error}", file=sys.stderr)
        return 1
    Server(configured, how, sockets, contexts, announcement(configured)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

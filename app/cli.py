"""Command line: parse arguments, read the settings, listen and serve."""

import argparse
import sys
from collections.abc import Mapping, Sequence

from app import __version__
from app.bootstrap import EchoApplication, read_configuration
from app.config import settings, settings_table
from app.config.addresses import near
from app.server.certificate_store import TlsError
from app.server.process.sockets import ListenError, bind

BAD_SETTINGS = 2  # exit code, the same as for invalid arguments


def announcement(configured: settings.Settings) -> str:
    """Return two lines: the URL that the server listens on, and a command to try."""
    host = near(configured.host)
    host = f"[{host}]" if ":" in host else host  # RFC 3986, 3.2.2
    secure = configured.tls_only == "on"
    url = f"{'https' if secure else 'http'}://{host}:{configured.port}"
    flags = "--haproxy-protocol " if configured.proxy_protocol == "on" else ""
    flags += (
        "--insecure " if secure else ""
    )  # the certificate may be for another name, or signed by a CA unknown to curl
    return (
        f"echo {__version__} listens on {url}"
        f" (for the cluster: http://{host}:{configured.admin_port}/readyz); Ctrl-C stops it\n"
        f"Try: curl {flags}{url}/blah/blah"
    )


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Serve until stopped. Return the exit code; print mistakes to stderr, one per line."""
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description="Start the echo service. All settings are environment variables; defaults are in parentheses.\n"
        + settings_table.NOTATION,
        epilog=settings_table.table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"echo {__version__}")
    parser.parse_args(argv)
    try:
        configured = read_configuration(environ)
        sockets = bind(configured.settings)
    except settings.SettingsError as error:
        print(*(f"echo: {mistake}" for mistake in error.args), sep="\n", file=sys.stderr)
        return BAD_SETTINGS
    except (ListenError, TlsError) as error:
        print(f"echo: {error}", file=sys.stderr)
        return 1
    if configured.note:
        print(f"echo: {configured.note}", file=sys.stderr)
    EchoApplication(configured, sockets, announcement(configured.settings)).run()
    return 0

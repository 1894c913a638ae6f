"""Command line: parse arguments, read the settings, listen and serve."""

import argparse
import sys
from collections.abc import Mapping, Sequence

from app import __version__
from app.bootstrap import EchoApplication, read_configuration
from app.config import settings, settings_table
from app.config.addresses import reachable_host
from app.server.certificate_store import TlsError
from app.server.process.sockets import ListenError, bind

EXIT_BAD_SETTINGS = 2  # exit code, the same as for invalid arguments


def announcement(server_settings: settings.Settings) -> str:
    """Return two lines: the URL that the server listens on, and a command to try."""
    host = reachable_host(server_settings.host)
    host = f"[{host}]" if ":" in host else host  # RFC 3986, 3.2.2
    is_tls_only = server_settings.tls_only == "on"
    url = f"{'https' if is_tls_only else 'http'}://{host}:{server_settings.port}"
    flags = "--haproxy-protocol " if server_settings.proxy_protocol == "on" else ""
    flags += (
        "--insecure " if is_tls_only else ""
    )  # the certificate may be for another name, or signed by a CA unknown to curl
    return (
        f"echo {__version__} listens on {url}"
        f" (for the cluster: http://{host}:{server_settings.admin_port}/readyz); Ctrl-C stops it\n"
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
        configuration = read_configuration(environ)
        sockets = bind(configuration.settings)
    except settings.SettingsError as error:
        print(*(f"echo: {mistake}" for mistake in error.args), sep="\n", file=sys.stderr)
        return EXIT_BAD_SETTINGS
    except (ListenError, TlsError) as error:
        print(f"echo: {error}", file=sys.stderr)
        return 1
    if configuration.note:
        print(f"echo: {configuration.note}", file=sys.stderr)
    EchoApplication(configuration, sockets, announcement(configuration.settings)).run()
    return 0

"""The request as a curl command for a POSIX shell.

The command sends the same request again.
"""

import re
import shlex
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import AddressValueError, IPv4Address
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from app.echo.context import Context
from app.http.connection_info import Endpoint
from app.http.request import HeaderList, HttpRequest, decode_lossless
from app.http.tokens import TCHAR_BYTES

# Headers of one connection (RFC 9110, 7.6.1), and those that curl generates from its other options.
_OMITTED_HEADERS: Final = frozenset(
    b"connection content-length host http2-settings keep-alive proxy-connection te trailer transfer-encoding"
    b" upgrade".split()
)
# Headers that curl sends by default, unless they are set without a value; the last one only with a body.
_CURL_HEADERS: Final = (b"User-Agent", b"Accept", b"Content-Type")

# A target that curl does not rewrite in a URL; any other is set by --request-target, byte for byte.
_PLAIN_TARGET: Final = re.compile(rb"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*")
_DOT_SEGMENTS: Final = frozenset((b".", b".."))
_AUTHORITY: Final = re.compile(rb"([A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::([1-9][0-9]{0,4}))?")
# A host that curl sends unchanged in Host: it converts capitals to lower case, and numbers to an IP address.
_PLAIN_HOST: Final = re.compile(rb"(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*")
_MAX_PORT: Final = 65_535
_DEFAULT_PORTS: Final = {"http": b"80", "https": b"443"}

_TOKEN: Final = re.compile(TCHAR_BYTES + b"+")
_NOT_IN_ARGUMENTS: Final = re.compile(rb"[\0\r\n]")
_HEAD_SECONDS: Final = 5


class CurlCommand(msgspec.Struct, frozen=True):
    """A curl command, and remarks on what it does not send as received."""

    text: str
    remarks: Sequence[str]


def curl_command(context: Context) -> CurlCommand:
    """Return the curl command for a request; no data of the request can escape the shell quotes."""
    request, scheme = context.request, "https" if context.connection.tls else "http"
    has_body = bool(request.body.length or request.body.chunked or _header_values(request.headers, b"content-length"))
    pipe, body = _body(request.body.prefix) if has_body else ("", ())
    words = (
        *_target(request, scheme, context.connection.server),
        *_version(request.version, scheme),
        *_method(request.method, has_body=has_body),
        *_headers(request, has_body=has_body),
        *body,
    )
    return CurlCommand(f"{pipe}curl " + " \\\n  ".join(words), tuple(_remarks(context, has_body=has_body)))


def _header_values(headers: HeaderList, name: bytes) -> list[bytes]:
    return [value for header_name, value in headers if header_name.lower() == name]


def _target(request: HttpRequest, scheme: str, server: Endpoint) -> Iterator[str]:
    """Yield the URL, then the options that keep the target and Host byte for byte."""
    hosts = [request.authority] if request.authority else _header_values(request.headers, b"host")
    host = hosts[0] if len(hosts) == 1 else b""
    is_plain = bool(_PLAIN_TARGET.fullmatch(request.target))
    authority = host if _is_authority(host) else _authority(server)
    yield _shell_word(scheme.encode() + b"://" + authority + (request.target if is_plain else b"/"))
    if not is_plain:
        yield f"--request-target {_shell_word(request.target)}"
    elif any(unquote_to_bytes(part) in _DOT_SEGMENTS for part in request.target.partition(b"?")[0].split(b"/")):
        yield "--path-as-is"
    if authority.startswith(b"["):
        yield "--globoff"
    if not hosts:
        yield "--header 'Host:'"
    elif not (host == authority and _is_sent_unchanged(host, scheme)):
        yield _header(b"Host", host)


def _is_authority(host: bytes) -> bool:
    match = _AUTHORITY.fullmatch(host)
    return match is not None and int(match[2] or 0) <= _MAX_PORT


def _is_sent_unchanged(authority: bytes, scheme: str) -> bool:
    name, _, port = authority.partition(b":")
    if port == _DEFAULT_PORTS[scheme]:
        return False
    try:
        return bool(_PLAIN_HOST.fullmatch(name) or IPv4Address(name.decode("ascii", "replace")))
    except AddressValueError:
        return False


def _authority(server: Endpoint) -> bytes:
    address = server.address or "localhost"
    return (f"[{address}]" if ":" in address else address).encode() + (b":%d" % server.port if server.port else b"")


def _version(version: str, scheme: str) -> Iterator[str]:
    if version == "HTTP/2.0":
        yield "--http2" if scheme == "https" else "--http2-prior-knowledge"
    elif version == "HTTP/1.0":
        yield "--http1.0"
    elif scheme == "https":
        yield "--http1.1"  # by default curl also offers HTTP/2


def _method(method: bytes, *, has_body: bool) -> Iterator[str]:
    if method == b"HEAD" and not has_body:
        yield "--head"
    elif method != (b"POST" if has_body else b"GET"):
        yield f"--request {_shell_word(method)}"
        if method == b"HEAD":  # curl would wait for content, which the response does not have
            yield f"--max-time {_HEAD_SECONDS}"


def _headers(request: HttpRequest, *, has_body: bool) -> Iterator[str]:
    """Yield the options for the headers in order, then those that remove what curl would add."""
    for name, value in request.headers:
        if not _is_omitted(name, value, request):
            yield _header(name, value)
    for name in _CURL_HEADERS if has_body else _CURL_HEADERS[:2]:
        if not _header_values(request.headers, name.lower()):
            yield f"--header '{name.decode()}:'"


def _is_omitted(name: bytes, value: bytes, request: HttpRequest) -> bool:
    lower = name.lower()
    if lower == b"transfer-encoding":
        return value.lower() != b"chunked"  # curl then chunks the body itself
    return (
        lower in _OMITTED_HEADERS
        or lower in _connection_options(request.headers)
        or not _is_valid_argument(name, value)
    )


def _connection_options(headers: HeaderList) -> set[bytes]:
    """Return the names, in lower case, of the headers listed in Connection (RFC 9110, 7.6.1)."""
    return {
        name.strip(b" \t").lower() for value in _header_values(headers, b"connection") for name in value.split(b",")
    }


def _is_valid_argument(name: bytes, value: bytes) -> bool:
    return bool(_TOKEN.fullmatch(name)) and not _NOT_IN_ARGUMENTS.search(value)


def _header(name: bytes, value: bytes) -> str:
    return f"--header {_shell_word(name + b': ' + value if value else name + b';')}"


def _body(prefix: bytes) -> tuple[str, Iterable[str]]:
    """Return the text before curl, and its options. `--data-raw` does not read a file after `@`."""
    if _is_text(prefix):
        return "", (f"--data-raw {_shell_word(prefix)}",)
    return f"{_decode_command(prefix)} |\n", ("--data-binary @-",)


def _shell_word(raw: bytes) -> str:
    """Return bytes as one word: quoted if they are text, else decoded from base64 by the shell.

    They must not contain NUL. Bytes that are not text must not end with a line feed, which the shell removes from the
    output of a command.
    """
    return shlex.quote(raw.decode()) if _is_text(raw) else f'"$({_decode_command(raw)})"'


def _is_text(raw: bytes) -> bool:
    """Return whether quotes keep bytes unchanged in an interactive shell too: printable characters and line feeds.

    An interactive bash of an older version (macOS has 3.2) forgets at the end of a line that quotes are open, and would
    expand `!` from its history. zsh would replace `=NAME`, which `shlex` does not quote, by the path of that program.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return False
    lines = text.split("\n")
    return all(map(str.isprintable, lines)) and not (len(lines) > 1 and "!" in text) and not text.startswith("=")


def _decode_command(raw: bytes) -> str:
    return f"echo {b64encode(raw).decode('ascii')} | base64 -d"


def _remarks(context: Context, *, has_body: bool) -> Iterator[str]:
    request = context.request
    omitted_names = [
        name for name, value in request.headers if name.lower() != b"host" and _is_omitted(name, value, request)
    ]
    if omitted_names:
        names = ", ".join(dict.fromkeys(decode_lossless(name) for name in omitted_names))
        yield f"Without {names}: curl sets them itself, or they apply to one connection only."
    if request.body.length > len(request.body.prefix):
        yield f"It sends the first {len(request.body.prefix):,} of {request.body.length:,} bytes of the body."
    if request.trailers:
        yield "It sends no trailers: curl has no option for them."
    if request.method == b"HEAD" and has_body:
        yield "curl waits for a response body until it times out: a response to HEAD has none."
    if context.connection.tls and context.connection.tls.peer_certificates:
        yield "Add your client certificate: --cert FILE --key FILE."

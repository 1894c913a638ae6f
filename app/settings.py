"""What an operator may set: the environment, and the file that it names, read into one frozen object.

Every setting is a row of `Settings`: its name, type, bound, default and help stand together, and
`python -m app --help` prints them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from app import env_file
from app.env_file import Assignment
from app.excerpts import quoted

PREFIX = "ECHO_"

# With decoders, an idle worker and its arbiter: 110 of the 128 MiB that the chart gives a pod. A thousand answers of
# the usual size are two MiB; one of 64 KiB of nested JSON, made for people, is four.
MAX_HELD: Final = 24 << 20

MAX_DECODED: Final = 64 << 20  # bytes to which content codings are undone, unless somebody says otherwise

Address = Annotated[str, Meta(min_length=1)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Workers = Annotated[int, Meta(ge=1, le=256)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Fields = Annotated[int, Meta(ge=1, le=10_000)]
HeadBytes = Annotated[int, Meta(ge=1024, le=1 << 20)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
LongSeconds = Annotated[float, Meta(gt=0, le=604_800)]
Bytes = Annotated[int, Meta(ge=0, le=1 << 40)]
MessageBytes = Annotated[int, Meta(ge=1024, le=1 << 30)]
HeldBytes = Annotated[int, Meta(ge=1 << 20, le=1 << 40)]
BytesPerSecond = Annotated[int, Meta(ge=1, le=1 << 30)]
Streams = Annotated[int, Meta(ge=1, le=10_000)]
Requests = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Events = Annotated[int, Meta(ge=1, le=86_400)]
Switch = Literal["off", "on"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one service. A field `idle_timeout` is the variable `ECHO_IDLE_TIMEOUT`."""

    host: Annotated[Address, Meta(description="address to listen on; * is every address, IPv4 and IPv6")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port that echoes everything")] = 8080
    admin_port: Annotated[Port, Meta(description="port for the cluster, never echoed")] = 9090
    workers: Annotated[Workers, Meta(description="worker processes")] = 1
    drain_seconds: Annotated[Seconds, Meta(description="seconds to answer what was accepted, after SIGTERM")] = 10.0
    env_file: Annotated[
        str, Meta(description="file of more settings, NAME=value a line, read again on SIGHUP; the environment wins")
    ] = ""
    format: Annotated[
        Literal["bare", "html", "json", "text", "yaml"], Meta(description="the answer to who names no type")
    ] = "bare"
    pretty: Annotated[Switch, Meta(description="off: JSON without indentation")] = "on"
    dialect: Annotated[
        Literal["echo", "gateway-api", "whoami", "echoserver", "httpbin"],
        Meta(description="another echo, as which this one answers"),
    ] = "echo"
    controls: Annotated[Switch, Meta(description="off: a client may ask for nothing but a form of the answer")] = "on"
    allow_status: Annotated[Switch, Meta(description="whether a client may ask for a status")] = "on"
    allow_delay: Annotated[Switch, Meta(description="whether a client may ask for a delay")] = "on"
    allow_header: Annotated[Switch, Meta(description="whether a client may ask for header fields")] = "on"
    # A cookie outlives the answer, and goes to whatever else is served under the same name.
    allow_cookie: Annotated[Switch, Meta(description="whether a client may ask for cookies")] = "off"
    allow_body: Annotated[Switch, Meta(description="whether a client may ask for a text instead of the answer")] = "on"
    allow_size: Annotated[Switch, Meta(description="whether a client may ask for a body of some size")] = "on"
    allow_drip: Annotated[Switch, Meta(description="whether a client may ask for a body piece by piece")] = "on"
    # To any place, a link to the echo would be a link to that place, under the echo's name.
    allow_redirect: Annotated[
        Literal["off", "relative", "any"], Meta(description="where to a client may ask to be redirected")
    ] = "relative"
    allow_abort: Annotated[Switch, Meta(description="whether a client may ask to be cut off")] = "on"
    allow_fail_first: Annotated[Switch, Meta(description="whether a client may ask for failures before a success")] = (
        "on"
    )
    allow_compress: Annotated[Switch, Meta(description="whether a client may ask for a content coding")] = "on"
    seed: Annotated[str, Meta(description="makes what is chosen at random the same after each start")] = ""
    max_delay: Annotated[
        Seconds, Meta(description="seconds of delay, or of a body in pieces, that may be asked for")
    ] = 60.0
    max_size: Annotated[Bytes, Meta(description="bytes of a body that may be asked for")] = 1 << 30
    max_events: Annotated[Events, Meta(description="events of a stream, one a second, that may be asked for")] = 600
    # Whoever can reach the port could tell any address.
    trusted_proxies: Annotated[
        str, Meta(description="networks whose proxies are believed about the client: 10.0.0.0/8,fd00::/8")
    ] = ""
    jwks: Annotated[str, Meta(description="JSON file, the keys (RFC 7517) that tokens are verified with")] = ""
    jwt_headers: Annotated[str, Meta(description="fields, beside Authorization, that may hold a token")] = ""
    show_passwords: Annotated[Switch, Meta(description="on: the password of Basic credentials is shown")] = "off"
    redact: Annotated[str, Meta(description="fields whose values no log shows")] = (
        "Authorization,Cookie,Proxy-Authorization"
    )
    redact_responses: Annotated[Switch, Meta(description="on: no answer shows them either")] = "off"
    max_connections: Annotated[Count, Meta(description="open connections of a worker; one more is answered 503")] = (
        10_000
    )
    memory_budget: Annotated[
        HeldBytes, Meta(description="bytes a worker holds for all clients: what is half, waits, or is not read")
    ] = MAX_HELD
    # 64 KiB and 256 fields are above what any browser, proxy or gateway sends by default, and bound what one
    # connection may hold in memory before it has said anything.
    max_header_bytes: Annotated[HeadBytes, Meta(description="bytes of a request's head; more is answered 431")] = 65_536
    max_headers: Annotated[Fields, Meta(description="header fields of a request; more is answered 431")] = 256
    max_body: Annotated[Bytes, Meta(description="bytes of a request's body; more is answered 413")] = 1 << 30
    # 64 MiB take a second at most to be undone, in steps; a small body that stands for more is most likely a bomb.
    max_decoded: Annotated[Bytes, Meta(description="bytes to which a body's content codings are undone")] = MAX_DECODED
    # A message is echoed as it comes, but a compressed fragment is held whole.
    max_message: Annotated[
        MessageBytes,
        Meta(description="bytes of a message of WebSocket or gRPC; more ends with 1009, or RESOURCE_EXHAUSTED"),
    ] = 1 << 20
    # As many as nginx and Go take in HTTP/2 (128, 250): browsers stay below them.
    max_streams: Annotated[Streams, Meta(description="requests under way on one HTTP/2 connection")] = 128
    # So that a client that never closes meets another pod some day; far above what would cost anything.
    max_requests: Annotated[Requests, Meta(description="requests of a connection, which is then closed")] = 1_000_000
    # Ten times what any client needs that means it.
    header_timeout: Annotated[Seconds, Meta(description="seconds for a request's head to arrive; then 408")] = 10.0
    body_timeout: Annotated[Seconds, Meta(description="seconds of silence in a body, or of an answer not read")] = 30.0
    # Silence alone would let a client hold a connection with a byte now and then. As Kestrel's default.
    min_body_rate: Annotated[
        BytesPerSecond,
        Meta(description="bytes a second of a body, or of an HTTP/2 answer, on average, after ECHO_BODY_TIMEOUT"),
    ] = 240
    # Load balancers keep idle connections for 60 s; whoever closes first must be the balancer, or it sends a
    # request into a closed connection and answers 502.
    idle_timeout: Annotated[Seconds, Meta(description="seconds that an idle connection or WebSocket is kept")] = 75.0
    websocket_timeout: Annotated[
        LongSeconds, Meta(description="seconds that a WebSocket is kept, whatever comes on it")
    ] = 3600.0
    # A receiver must not guess whether the header comes: who can reach the port could tell any address.
    proxy_protocol: Annotated[
        Switch, Meta(description="on: each connection to ECHO_PORT begins with a PROXY protocol header, v1 or v2")
    ] = "off"
    tls_cert: Annotated[str, Meta(description="PEM file, certificate and chain: ECHO_PORT speaks TLS, too")] = ""
    tls_key: Annotated[str, Meta(description="PEM file, the certificate's private key")] = ""
    tls_only: Annotated[Switch, Meta(description="on: ECHO_PORT refuses who does not speak TLS")] = "off"
    tls_client_ca: Annotated[str, Meta(description="PEM file, the authorities of clients' certificates")] = ""
    tls_client_auth: Annotated[
        Literal["require", "request"], Meta(description="whether a client without a certificate is refused")
    ] = "require"
    tls_min_version: Annotated[Literal["1.2", "1.3"], Meta(description="the oldest TLS that is spoken")] = "1.2"
    tls_ciphers: Annotated[
        str, Meta(description="cipher suites of TLS 1.2, in OpenSSL's words; empty: its default")
    ] = ""
    metrics: Annotated[Switch, Meta(description="on: the admin port has /metrics, for Prometheus")] = "on"
    # A line for each request costs a tenth of it, and what a client sends may be nobody's business.
    access_log: Annotated[
        Literal["off", "json", "common"], Meta(description="what is written to stdout of each request")
    ] = "off"
    otlp_endpoint: Annotated[
        str, Meta(description="URL to which a span of each request is sent, by OTLP: http://collector:4318")
    ] = ""


# Settings that name a file, and how a text begins that is what such a file holds: it may be a secret, and is not shown.
_FILES: Final = frozenset(("env_file", "jwks", "tls_cert", "tls_client_ca", "tls_key"))
_CONTENT: Final = re.compile(r"\s*[{\[]|\s*-----BEGIN|[^\n]*\n")

Row = tuple[str, str, str]

_SWITCH: Final = ["off", "on"]
# The first setting of each group, and what the group is about.
_GROUPS: Final = {
    "host": "Listening, and stopping",
    "format": "Answers",
    "controls": "What a client may ask for",
    "trusted_proxies": "Who asked",
    "max_connections": "Bounds",
    "proxy_protocol": "PROXY protocol and TLS",
    "metrics": "Watching",
}

_NO_READERS: Final[Mapping[str, Callable[[str], object]]] = {}


# Settings that hold until the end, so that a file which is read again can't have them: who asks for a port, as the
# health check does, need know no file.
FIXED: Final = ("ECHO_HOST", "ECHO_PORT", "ECHO_ADMIN_PORT")
_ENV_FILE: Final = "ECHO_ENV_FILE"


class SettingsError(ValueError):
    """The settings hold mistakes. `args` are sentences, one for each, all of them at once."""


# Kubernetes gives pods `NAME_SERVICE_HOST`, `NAME_PORT=tcp://...` and more for each Service `name` of their
# namespace, and the usual name of ours is `echo`, or begins with it. They are about the Service, not settings.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(r"ECHO_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)")
_SERVICE_LINK_URL = re.compile(r"(tcp|udp|sctp)://")


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_LINK_URL.match(value)))


def _variable(field: str) -> str:
    return PREFIX + field.upper()


_FIELDS: Final = {_variable(field.name): field for field in msgspec.structs.fields(Settings)}
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


def read(environ: Mapping[str, str], readers: Mapping[str, Callable[[str], object]] = _NO_READERS) -> Settings:
    """Read the settings from an environment, and from the file that it names; what both say, the environment says.

    `readers` are, by a field's name, what must be able to read its text, where that is more than a type says, such as a
    list or a file's name: each raises `ValueError` for what it can't. Raises `SettingsError` with a sentence for every
    unknown name and every bad value, wherever it stands.
    """
    given: dict[str, Any] = {}
    mistakes: list[str] = []
    for place, name, value, mistake in (*_of_the_file(environ.get(_ENV_FILE, "")), *_own(environ)):
        try:
            if mistake:
                raise ValueError(mistake)  # noqa: TRY301 - one way for all of them
            given |= _taken(name, value, readers)
        except ValueError as error:
            mistakes.append(f"{place}{error}")
    if not mistakes:
        settings = Settings(**given)
        mistakes += _contradictions(settings)
        if not mistakes:
            return settings
    raise SettingsError(*mistakes)


def _own(environ: Mapping[str, str]) -> Iterator[Assignment]:
    """Give what the environment itself says."""
    for name, value in sorted(environ.items()):
        if name.startswith(PREFIX) and not _is_service_link(name, value):
            yield Assignment("", name, value)


def _of_the_file(path: str) -> Iterator[Assignment]:
    """Give what the file of settings says, if there is one."""
    if _CONTENT.match(path):
        return  # which is told of the variable
    try:
        assignments = env_file.read(path) if path else []
    except ValueError as error:
        yield Assignment("", _ENV_FILE, path, f"{_ENV_FILE}={quoted(path)}: {error}")
        return
    for each in assignments:
        if each.name in {*FIXED, _ENV_FILE} and not each.mistake:
            yield each._replace(mistake=f"{each.name} can be set by the environment alone")
        else:
            yield each


def _taken(name: str, value: str, readers: Mapping[str, Callable[[str], object]]) -> dict[str, Any]:
    """Read one setting: its field and value. Raises `ValueError` with a sentence."""
    field = _FIELDS.get(name)
    if field is None:
        nearest = [_RENAMED[name]] if name in _RENAMED else get_close_matches(name, _FIELDS, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "python -m app --help lists them all"
        raise ValueError(f"{name} is not a setting; {hint}")
    if field.name in _FILES and _CONTENT.match(value):
        raise ValueError(f"{name} is the name of a file, not what the file holds")
    try:
        read_value = msgspec.convert(value, field.type, strict=False)
        if value and field.name in readers:
            readers[field.name](value)
    except ValueError as error:  # msgspec's own is one, too
        raise ValueError(f"{name}={quoted(value)}: {_reason(field.type, error)}") from None
    return {field.name: read_value}


def _reason(kind: Any, error: ValueError) -> str:
    """Say what is wrong with a value, in words for people where msgspec's are none."""
    schema = msgspec.json.schema(kind)
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    names = {"integer": "a whole number", "number": "a number"}
    return f"not {names[schema['type']]}" if str(error).endswith("got `str`") else str(error)


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.port == settings.admin_port:
        yield f"ECHO_PORT and ECHO_ADMIN_PORT are both {settings.port}: give them different ports"
    if bool(settings.tls_cert) != bool(settings.tls_key):
        yield "ECHO_TLS_CERT and ECHO_TLS_KEY go together: set both or neither"
    if not settings.tls_cert and (settings.tls_client_ca or settings.tls_only == "on"):
        yield "ECHO_TLS_CLIENT_CA and ECHO_TLS_ONLY need ECHO_TLS_CERT and ECHO_TLS_KEY"


def changes(before: Settings, after: Settings) -> list[str]:
    """Give the variables that are not the same."""
    return [name for name, field in _FIELDS.items() if getattr(before, field.name) != getattr(after, field.name)]


def rows() -> list[Row]:
    """Give each setting as (variable, default, meaning); where numbers are bytes or seconds, the meaning says so."""
    return [
        (_variable(field.name), str(field.default) or "empty", _meaning(field.type))
        for field in msgspec.structs.fields(Settings)
    ]


def _meaning(type_: Any) -> str:
    """Give what a setting means, and the words that it can be, unless they are on and off."""
    schema = msgspec.json.schema(type_)
    meaning: str = schema["description"]
    words = schema.get("enum", [])
    return meaning + (f": {', '.join(words)}" if words and words != _SWITCH else "")


def groups() -> list[tuple[str, list[Row]]]:
    """Give the settings in groups, each with its name."""
    found: list[tuple[str, list[Row]]] = []
    for field, row in zip(msgspec.structs.fields(Settings), rows(), strict=True):
        if field.name in _GROUPS:
            found.append((_GROUPS[field.name], []))
        found[-1][1].append(row)
    return found


def table() -> str:
    """Give the settings as lines of text, group by group: variable, meaning, and in parentheses the default."""
    width = max(len(variable) for variable, _, _ in rows())
    lines: list[str] = []
    for name, members in groups():
        lines += ["", f"{name}:"]
        lines += [f"  {variable:<{width}}  {meaning} ({default})" for variable, default, meaning in members]
    return "\n".join(lines[1:])

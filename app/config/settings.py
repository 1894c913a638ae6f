"""Settings: environment variables, parsed into one object.

Every setting is a row of `Settings`: its name, type, limits, default and description are declared together, and
`python -m app --help` prints them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from app.config.formats import DialectSetting, Format
from app.http.text import quoted

PREFIX = "ECHO_"

# With decoders, an idle worker and its arbiter this is 110 of the 128 MiB that the chart sets as a pod's memory limit.
# A thousand responses of the usual size are two MiB; one with 64 KiB of nested JSON, indented, is four.
MAX_HELD: Final = 24 << 20

MAX_DECODED: Final = 64 << 20  # default limit of a decoded body in bytes

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
    """Settings of one service. The attribute `idle_timeout` is the variable `ECHO_IDLE_TIMEOUT`."""

    host: Annotated[Address, Meta(description="address to listen on; * is every address, IPv4 and IPv6")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port of the echo service")] = 8080
    admin_port: Annotated[Port, Meta(description="port of probes, metrics, version and OpenAPI document")] = 9090
    workers: Annotated[Workers, Meta(description="number of worker processes")] = 1
    drain_seconds: Annotated[
        Seconds, Meta(description="timeout of a graceful shutdown in seconds, for requests accepted before SIGTERM")
    ] = 10.0
    format: Annotated[Format, Meta(description="default response format when the client does not ask for one")] = "bare"
    pretty: Annotated[Switch, Meta(description="enable JSON indentation")] = "on"
    dialect: Annotated[DialectSetting, Meta(description="echo server whose responses are emulated by default")] = "echo"
    controls: Annotated[
        Switch,
        Meta(description="enable all controls; off leaves echo_format, echo_pretty, echo_count and echo_seed"),
    ] = "on"
    allow_status: Annotated[Switch, Meta(description="enable echo_status: a response status")] = "on"
    allow_delay: Annotated[Switch, Meta(description="enable echo_delay and echo_time: a delay before the response")] = (
        "on"
    )
    allow_header: Annotated[Switch, Meta(description="enable echo_header: additional response headers")] = "on"
    # A cookie outlives the response, and clients send it to every service on the same host.
    allow_cookie: Annotated[Switch, Meta(description="enable echo_cookie: cookies in the response")] = "off"
    allow_body: Annotated[Switch, Meta(description="enable echo_body: a text instead of the reflection")] = "on"
    allow_size: Annotated[Switch, Meta(description="enable echo_size: a generated body of a given size")] = "on"
    allow_drip: Annotated[Switch, Meta(description="enable echo_drip: a response body spread over time")] = "on"
    # With any target allowed, a link to this service can lead to another site under this service's name.
    allow_redirect: Annotated[
        Literal["off", "relative", "any"], Meta(description="redirect targets that echo_redirect accepts")
    ] = "relative"
    allow_abort: Annotated[
        Switch, Meta(description="enable echo_abort: a connection closed before or within the response")
    ] = "on"
    allow_fail_first: Annotated[
        Switch, Meta(description="enable echo_fail_first: 503 for the first attempts, then success")
    ] = "on"
    allow_compress: Annotated[Switch, Meta(description="enable echo_compress: a content coding of the response")] = "on"
    seed: Annotated[str, Meta(description="seed of random choices, for the same sequence after every start")] = ""
    max_delay: Annotated[
        Seconds, Meta(description="maximum delay or drip duration in seconds that a client can request (400 above it)")
    ] = 60.0
    max_size: Annotated[
        Bytes, Meta(description="maximum size in bytes of a generated body that a client can request (400 above it)")
    ] = 1 << 30
    max_events: Annotated[
        Events,
        Meta(
            description="maximum number of server-sent events, one per second, that a client can request (400 above it)"
        ),
    ] = 600
    # Without a list, anyone who reaches the port could claim any client address.
    trusted_proxies: Annotated[
        str, Meta(description="networks of proxies whose forwarding headers are trusted: 10.0.0.0/8,fd00::/8")
    ] = ""
    jwks: Annotated[str, Meta(description="JSON Web Key Set file (RFC 7517) that tokens are verified with")] = ""
    jwt_headers: Annotated[str, Meta(description="headers that may hold a token, besides Authorization")] = ""
    show_passwords: Annotated[Switch, Meta(description="show passwords of Basic credentials")] = "off"
    redact: Annotated[str, Meta(description="headers whose values are masked in logs")] = (
        "Authorization,Cookie,Proxy-Authorization"
    )
    redact_responses: Annotated[Switch, Meta(description="mask the ECHO_REDACT headers in responses too")] = "off"
    max_connections: Annotated[Count, Meta(description="maximum open connections of a worker (503 above it)")] = 10_000
    memory_budget: Annotated[
        HeldBytes,
        Meta(
            description="memory budget of a worker in bytes: incomplete requests, delayed responses, unread output"
            " (503 above it)"
        ),
    ] = MAX_HELD
    # 64 KiB and 256 headers are more than any browser, proxy or gateway sends by default. They limit the memory that
    # a connection can use before it has sent a whole request head.
    max_header_bytes: Annotated[
        HeadBytes, Meta(description="maximum size of a request head in bytes (431 above it)")
    ] = 65_536
    max_headers: Annotated[Fields, Meta(description="maximum number of headers of a request (431 above it)")] = 256
    max_body: Annotated[Bytes, Meta(description="maximum size of a request body in bytes (413 above it)")] = 1 << 30
    # Decoding 64 MiB takes at most a second, in steps. A small body that decodes to more is most likely a
    # decompression bomb.
    max_decoded: Annotated[
        Bytes, Meta(description="maximum decoded size of a request body in bytes (decoding stops above it)")
    ] = MAX_DECODED
    # A message is echoed as it arrives, but a compressed fragment is buffered whole.
    max_message: Annotated[
        MessageBytes,
        Meta(
            description="maximum size of a WebSocket or gRPC message in bytes"
            " (close code 1009 or RESOURCE_EXHAUSTED above it)"
        ),
    ] = 1 << 20
    # Similar to nginx (128) and Go (250) for HTTP/2; browsers stay below these.
    max_streams: Annotated[
        Streams, Meta(description="maximum number of concurrent requests on an HTTP/2 connection")
    ] = 128
    # So that a client that never closes its connection reaches another pod eventually; the cost at this limit is
    # negligible.
    max_requests: Annotated[
        Requests, Meta(description="maximum number of requests on a connection, which is closed after them")
    ] = 1_000_000
    # Ten times what an honest client needs.
    header_timeout: Annotated[
        Seconds, Meta(description="timeout in seconds for receiving a request head (408 after it)")
    ] = 10.0
    body_timeout: Annotated[
        Seconds,
        Meta(description="timeout in seconds without new data of a request body, or without progress of a response"),
    ] = 30.0
    # A timeout without progress alone would let a client hold a connection with a byte now and then.
    # Kestrel's default.
    min_body_rate: Annotated[
        BytesPerSecond,
        Meta(
            description="minimum average rate in bytes per second of a request body, or of a response over HTTP/2,"
            " after ECHO_BODY_TIMEOUT"
        ),
    ] = 240
    # Load balancers keep idle connections for 60 s. The load balancer must close first: otherwise it sends a request
    # into a closed connection and responds with 502.
    idle_timeout: Annotated[
        Seconds, Meta(description="timeout in seconds of an idle connection or WebSocket, which is closed after it")
    ] = 75.0
    websocket_timeout: Annotated[LongSeconds, Meta(description="maximum lifetime of a WebSocket in seconds")] = 3600.0
    # Guessing whether the header is there is forbidden: anyone who reaches the port could claim any address
    # (PROXY protocol specification, section 2).
    proxy_protocol: Annotated[
        Switch,
        Meta(description="enable PROXY protocol on ECHO_PORT: every connection must begin with a v1 or v2 header"),
    ] = "off"
    tls_cert: Annotated[
        str, Meta(description="PEM file of the certificate and its chain; enables TLS on ECHO_PORT")
    ] = ""
    tls_key: Annotated[str, Meta(description="PEM file of the certificate's private key")] = ""
    tls_only: Annotated[Switch, Meta(description="reject plaintext connections on ECHO_PORT")] = "off"
    tls_client_ca: Annotated[
        str, Meta(description="PEM file of the certificate authorities that client certificates are verified with")
    ] = ""
    tls_client_auth: Annotated[
        Literal["require", "request"],
        Meta(description="whether client certificates are required or only requested"),
    ] = "require"
    tls_min_version: Annotated[Literal["1.2", "1.3"], Meta(description="minimum TLS version")] = "1.2"
    tls_ciphers: Annotated[
        str, Meta(description="TLS 1.2 cipher suites in OpenSSL's syntax; empty is OpenSSL's default")
    ] = ""
    metrics: Annotated[Switch, Meta(description="enable /metrics on ECHO_ADMIN_PORT, for Prometheus")] = "on"
    # A line per request costs a tenth of the request, and what clients send may be private.
    access_log: Annotated[Literal["off", "json", "common"], Meta(description="format of the access log on stdout")] = (
        "off"
    )
    otlp_endpoint: Annotated[
        str, Meta(description="URL of an OTLP/HTTP collector that receives a span per request: http://collector:4318")
    ] = ""

    def allows(self, control: str) -> bool:
        """Return whether a control is enabled: `delay` by `allow_delay`, and all of them by `controls`."""
        return self.controls == "on" and getattr(self, f"allow_{control}") != "off"


# Settings that name a file, and how the content of such a file begins: it may be a secret, so error messages must not
# show it.
_FILES: Final = frozenset(("jwks", "tls_cert", "tls_client_ca", "tls_key"))
_CONTENT: Final = re.compile(r"\s*[{\[]|\s*-----BEGIN|[^\n]*\n")

Row = tuple[str, str, str]

_SWITCH: Final = ["off", "on"]
# The first setting of each group, and the group's name.
_GROUPS: Final = {
    "host": "Listening and shutdown",
    "format": "Responses",
    "controls": "Controls",
    "trusted_proxies": "Clients and credentials",
    "max_connections": "Limits and timeouts",
    "proxy_protocol": "PROXY protocol and TLS",
    "metrics": "Metrics, logs and traces",
}

_NO_READERS: Final[Mapping[str, Callable[[str], object]]] = {}


class SettingsError(ValueError):
    """Invalid settings. `args` are sentences, one per mistake, all mistakes together."""


# Kubernetes sets `NAME_SERVICE_HOST`, `NAME_PORT=tcp://...` and more in pods for each Service `name` of their
# namespace. Our Service is usually named `echo`, or its name begins with that: these variables are not settings.
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
    """Parse the settings in an environment.

    `readers` are, by attribute name, additional parsers for values that the type can't check, such as a list or a file
    name: each raises `ValueError` for an invalid value. Raise `SettingsError` with a sentence for every unknown name
    and every invalid value.
    """
    given: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or _is_service_link(name, value):
            continue
        try:
            given |= _taken(name, value, readers)
        except ValueError as error:
            mistakes.append(str(error))
    if not mistakes:
        settings = Settings(**given)
        mistakes += _contradictions(settings)
        if not mistakes:
            return settings
    raise SettingsError(*mistakes)


def _taken(name: str, value: str, readers: Mapping[str, Callable[[str], object]]) -> dict[str, Any]:
    """Parse one setting and return its attribute and value. Raise `ValueError` with a sentence."""
    field = _FIELDS.get(name)
    if field is None:
        nearest = [_RENAMED[name]] if name in _RENAMED else get_close_matches(name, _FIELDS, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "python -m app --help lists all settings"
        raise ValueError(f"{name} is not a setting; {hint}")
    if field.name in _FILES and _CONTENT.match(value):
        raise ValueError(f"{name} must be the path of a file, not its content")
    try:
        read_value = msgspec.convert(value, field.type, strict=False)
        if value and field.name in readers:
            readers[field.name](value)
    except ValueError as error:  # msgspec.ValidationError is a subclass
        raise ValueError(f"{name}={quoted(value)}: {_reason(field.type, error)}") from None
    return {field.name: read_value}


def _reason(kind: Any, error: ValueError) -> str:
    """Return what a setting accepts; msgspec's own messages name Python types."""
    if not isinstance(error, msgspec.ValidationError):
        return str(error)  # raised by a reader
    schema = msgspec.json.schema(kind)
    if "enum" in schema:
        return "must be one of " + ", ".join(schema["enum"])
    if schema["type"] == "string":
        return "must not be empty"
    what = "a whole number" if schema["type"] == "integer" else "a number"
    if "exclusiveMinimum" in schema:
        return f"must be {what} above {schema['exclusiveMinimum']}, at most {schema['maximum']}"
    return f"must be {what} from {schema['minimum']} to {schema['maximum']}"


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.port == settings.admin_port:
        yield f"ECHO_PORT and ECHO_ADMIN_PORT are both {settings.port}: set different ports"
    if bool(settings.tls_cert) != bool(settings.tls_key):
        yield "ECHO_TLS_CERT and ECHO_TLS_KEY go together: set both or neither"
    if not settings.tls_cert and (settings.tls_client_ca or settings.tls_only == "on"):
        yield "ECHO_TLS_CLIENT_CA and ECHO_TLS_ONLY require ECHO_TLS_CERT and ECHO_TLS_KEY"


def rows() -> list[Row]:
    """Return each setting as (variable, default, description); the description names the unit, bytes or seconds."""
    return [
        (_variable(field.name), str(field.default) or "empty", _meaning(field.type))
        for field in msgspec.structs.fields(Settings)
    ]


def _meaning(type_: Any) -> str:
    """Return the description of a setting, with its accepted words unless they are on and off."""
    schema = msgspec.json.schema(type_)
    meaning: str = schema["description"]
    words = schema.get("enum", [])
    return meaning + (f": {', '.join(words)}" if words and words != _SWITCH else "")


def groups() -> list[tuple[str, list[Row]]]:
    """Return the settings in groups, each with its name."""
    found: list[tuple[str, list[Row]]] = []
    for field, row in zip(msgspec.structs.fields(Settings), rows(), strict=True):
        if field.name in _GROUPS:
            found.append((_GROUPS[field.name], []))
        found[-1][1].append(row)
    return found


def table() -> str:
    """Return the settings as lines of text, by group: variable, description, and the default in parentheses."""
    width = max(len(variable) for variable, _, _ in rows())
    lines: list[str] = []
    for name, members in groups():
        lines += ["", f"{name}:"]
        lines += [f"  {variable:<{width}}  {meaning} ({default})" for variable, default, meaning in members]
    return "\n".join(lines[1:])

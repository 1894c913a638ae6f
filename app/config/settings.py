"""Settings of the service: name, type, limits, default and description.

Every setting is an attribute of `Settings`. The loader, `python -m app --help`, the README and the chart's schema use
these declarations.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from app.config.field_types import (
    Address,
    BudgetBytes,
    Bytes,
    BytesPerSecond,
    Count,
    Events,
    HeaderBytes,
    HeaderCount,
    LongSeconds,
    MessageBytes,
    Port,
    Requests,
    Seconds,
    Streams,
    Switch,
    Workers,
)
from app.config.formats import DialectSetting, Format

PREFIX: Final = "ECHO_"

# With decoders, an idle worker and its arbiter this is 110 of the 128 MiB that the chart sets as a pod's memory limit.
# A thousand responses of the usual size are two MiB; one with 64 KiB of nested JSON, indented, is four.
DEFAULT_MEMORY_BUDGET: Final = 24 << 20

DEFAULT_MAX_DECODED: Final = 64 << 20  # default limit of a decoded body in bytes


class SettingsError(ValueError):
    """Invalid settings. `args` are sentences, one per mistake, all mistakes together."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one service. The attribute `idle_timeout` is the variable `ECHO_IDLE_TIMEOUT`."""

    host: Annotated[Address, Meta(description="address to listen on; * is every address, IPv4 and IPv6")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port of the echo service")] = 8080
    admin_port: Annotated[Port, Meta(description="port of probes, metrics, version and OpenAPI document")] = 9090
    workers: Annotated[Workers, Meta(description="number of worker processes")] = 1
    drain_seconds: Annotated[
        Seconds, Meta(description="timeout of a graceful shutdown, for requests accepted before SIGTERM")
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
        Seconds, Meta(description="maximum delay or drip duration that a client can request (400 above it)")
    ] = 60.0
    max_size: Annotated[
        Bytes, Meta(description="maximum size of a generated body that a client can request (400 above it)")
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
        BudgetBytes,
        Meta(
            description="memory budget of a worker: incomplete requests, delayed responses, unread output"
            " (503 above it)"
        ),
    ] = DEFAULT_MEMORY_BUDGET
    # 64 KiB and 256 headers are more than any browser, proxy or gateway sends by default. They limit the memory that
    # a connection can use before it has sent a whole request head.
    max_header_bytes: Annotated[HeaderBytes, Meta(description="maximum size of a request head (431 above it)")] = 65_536
    max_headers: Annotated[HeaderCount, Meta(description="maximum number of headers of a request (431 above it)")] = 256
    max_body: Annotated[Bytes, Meta(description="maximum size of a request body (413 above it)")] = 1 << 30
    # Decoding 64 MiB takes at most a second, in steps. A small body that decodes to more is most likely a
    # decompression bomb.
    max_decoded: Annotated[
        Bytes, Meta(description="maximum decoded size of a request body (decoding stops above it)")
    ] = DEFAULT_MAX_DECODED
    # A message is echoed as it arrives, but a compressed fragment is buffered whole.
    max_message: Annotated[
        MessageBytes,
        Meta(
            description="maximum size of a WebSocket or gRPC message (close code 1009 or RESOURCE_EXHAUSTED above it)"
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
    header_timeout: Annotated[Seconds, Meta(description="timeout for receiving a request head (408 after it)")] = 10.0
    body_timeout: Annotated[
        Seconds,
        Meta(description="timeout without new data of a request body, or without progress of a response"),
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
        Seconds, Meta(description="timeout of an idle connection or WebSocket, which is closed after it")
    ] = 75.0
    websocket_timeout: Annotated[LongSeconds, Meta(description="maximum lifetime of a WebSocket")] = 3600.0
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


def variable_name(attribute: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + attribute.upper()


# The settings by variable, in the order of their declaration.
FIELDS_BY_VARIABLE: Final = {variable_name(field.name): field for field in msgspec.structs.fields(Settings)}

"""Descriptions of the JSON keys in responses, one line each.

They are by type, then by JSON key, in Markdown, which viewers of OpenAPI and JSON Schema render. The README's table and
the schemas are generated from them.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from app.config.downward_api import Kubernetes
from app.echo.reflection.body import ReflectedBody, ReflectedContent
from app.echo.reflection.credentials import Basic, Credentials, Jwt
from app.echo.reflection.model import Reflection
from app.http.controls_report import AppliedControl, ControlsReport, RejectedControl
from app.http.headers.client_address import Client, Hop
from app.http.headers.trace_context import Trace
from app.http.tls_info import TlsInfo

FIELD_DESCRIPTIONS: Final[Mapping[type[msgspec.Struct], Mapping[str, str]]] = {
    # The first eleven keys are those of the Gateway API's echo server.
    Reflection: {
        "path": "the request target as received, with its query; `:path` for HTTP/2",
        "host": "the Host header; `:authority` for HTTP/2",
        "method": "the request method as received, even if unknown",
        "proto": "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`",
        "headers": "the headers by name in canonical case (`X-Request-Id`); the values of one name are in the order"
        " received",
        "httpPort": "`ECHO_PORT`, as a string",
        "namespace": "the pod's namespace, `null` outside a cluster",
        "ingress": "the Ingress in front, `null` unless `INGRESS_NAME` is set",
        "service": "the Service in front, `null` unless `SERVICE_NAME` is set, as the chart does",
        "pod": "the pod's name, `null` outside a cluster",
        "tls": "over TLS: `version`, `serverName` (SNI), `cipherSuite` in OpenSSL's notation, `negotiatedProtocol`"
        " (ALPN); client certificate: `peerCertificates` (PEM) and `clientCertificate` (subject, issuer, alternative"
        " names, validity, serial number, SHA-256)",
        "pseudo": "the pseudo-headers of HTTP/2, in the order received",
        "received": "every header as received: original order and case, duplicates separate, names with `_` included",
        "query": "the query parameters, decoded, in order, including empty and repeated ones",
        "cookies": "the pairs of the Cookie header, undecoded",
        "body": "`length` in bytes and `sha256` of the whole body; the first 64 KiB as `text` if they are"
        " UTF-8, else as `base64`; whether the body was `chunked`, and whether the text is `truncated`",
        "trailers": "the trailers; they are sent back to a client with `TE: trailers`",
        "client": "the client: the peer address (`address`, `port`), what proxies report (`chain`, `forwarded`,"
        " `xForwarded`), and the `effective` address according to the trusted ones; with the PROXY protocol"
        " its whole header (`proxyProtocol`)",
        "server": "the server's address and port of the connection",
        "kubernetes": "the pod's environment from the downward API: `node`, `podIP`, `hostIP`, `serviceAccount`,"
        " `zone`, `region`, `image`, selected `labels`; `null` outside a cluster",
        "trace": "the parsed `traceparent`; `invalid` has the reason if it is malformed",
        "credentials": "the Authorization header: its `scheme`, the user of `basic` credentials; and each `jwt`,"
        " decoded and marked as verified or not",
        "applied": "the controls, from `echo_*` and `X-Echo-*`: `granted` are applied, with each random choice;"
        " `refused` are ignored or rejected, with the reason",
        "id": "the X-Request-Id header if it is valid, else a generated one; the response has it too",
        "time": "the time of the response: RFC 3339, UTC",
        "version": "the version of echo",
    },
    ReflectedBody: {
        "length": "bytes of the whole body, without transfer coding",
        "sha256": "of the whole body",
        "text": "the first 64 KiB, if they are UTF-8",
        "base64": "the first 64 KiB, if they are not UTF-8",
        "decoded": "the body decoded from its `Content-Encoding` (gzip, deflate, br, zstd, in any order); or `refused`,"
        " with the reason: larger than `ECHO_MAX_DECODED`, corrupt data, an unknown coding",
        "json": "the body as JSON, unchanged, if Content-Type says so and it parses",
        "form": "the fields of a form",
        "multipart": "the parts of a multipart body, with name, file name, type, length and SHA-256",
        "multipartRefused": "why the parts can't be parsed",
    },
    ReflectedContent: {
        "codings": "content codings, in the order applied",
        "refused": "why the body can't be decoded",
    },
    Client: {
        "effective": "the first address, from the connection backwards, that is not a trusted proxy",
        "chain": "the hops, the client first, the peer of the connection last",
        "forwarded": "the elements of Forwarded (RFC 7239)",
        "xForwarded": "the values of X-Forwarded-* and X-Real-IP by name",
    },
    Hop: {
        "address": "as reported, without brackets and port; unchanged if it is not an address",
        "told": "the header that reports it, or the connection itself",
        "trusted": "whether it is in `ECHO_TRUSTED_PROXIES`",
    },
    Kubernetes: {
        "image": "the image in the pod's manifest",
        "labels": "the selected labels that the pod has",
    },
    TlsInfo: {
        "serverName": "the SNI server name, or empty",
        "negotiatedProtocol": "the ALPN protocol",
        "peerCertificates": "PEM, the client certificate first",
    },
    Trace: {"invalid": "by name, why a header is invalid"},
    Credentials: {"invalid": "by name, why a credential is invalid"},
    Basic: {"password": "`***` unless `ECHO_SHOW_PASSWORDS` is on"},
    Jwt: {
        "verified": "whether a key of `ECHO_JWKS` verifies its signature, and exp and nbf hold",
        "notVerified": "why it is not verified",
    },
    ControlsReport: {
        "granted": "the applied controls, in the order received",
        "refused": "the ignored or rejected controls",
    },
    AppliedControl: {
        "value": "as received, shortened",
        "done": "the random choice: the status of a list, the seconds of a range",
    },
    RejectedControl: {
        "name": "as received",
        "value": "as received, shortened",
        "bound": "the accepted values",
    },
}

"""What each field of an answer means, in a line: the README's table and the schemas are made of these.

By type, then by the field's name in JSON. Markdown, as OpenAPI and JSON Schema readers show it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from app.config.downward_api import Kubernetes
from app.echo.reflection.body import ReflectedBody, ReflectedContent
from app.echo.reflection.credentials import Basic, Credentials, Jwt
from app.echo.reflection.model import Reflection
from app.http.controls_report import Applied, Granted, Refused
from app.http.headers.client_address import Client, Hop
from app.http.headers.trace_context import Trace
from app.http.headers.via import Via
from app.http.tls_info import TLS

MEANINGS: Final[Mapping[type[msgspec.Struct], Mapping[str, str]]] = {
    # The first eleven are those of the Gateway API's own echo server.
    Reflection: {
        "path": "the request target as it came, with its query; of HTTP/2 `:path`",
        "host": "what Host says; of HTTP/2 `:authority`",
        "method": "the method as it came, whatever it is",
        "proto": "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`",
        "headers": "the header fields by name, written as most people do (`X-Request-Id`); values of one name stand"
        " in the order in which they came",
        "httpPort": "the port that echoes, as a string",
        "namespace": "the pod's namespace, `null` outside a cluster",
        "ingress": "the Ingress in front, `null` unless `INGRESS_NAME` tells it",
        "service": "the Service in front, `null` unless `SERVICE_NAME` tells it, as the chart has it",
        "pod": "the pod's name, `null` outside a cluster",
        "tls": "over TLS: `version`, `serverName` (SNI), `cipherSuite` by OpenSSL's name, `negotiatedProtocol` (ALPN);"
        " of a client's certificate `peerCertificates` (PEM) and `clientCertificate` (subject, issuer, alternative"
        " names, validity, serial number, SHA-256)",
        "pseudo": "the pseudo-fields of HTTP/2, in their order",
        "received": "every header field as it came: in its order, in its case, duplicates apart, names with `_` too",
        "query": "the query's pairs, decoded, in order, empty and repeated ones kept",
        "cookies": "the pairs of Cookie, as they are written",
        "body": "`length` in bytes and `sha256` of the whole, however large; of the first 64 KiB the `text` if it is"
        " UTF-8, else `base64`; whether it was `chunked`, and whether what is shown is `truncated`",
        "trailers": "the fields behind the body; they are sent back to a client that says `TE: trailers`",
        "client": "who sent it: the connection's other end (`address`, `port`), what proxies say of who is behind it"
        " (`chain`, `forwarded`, `xForwarded`, `via`), and the `effective` address that follows from those that"
        " are trusted; behind the PROXY protocol all that its header says (`proxyProtocol`)",
        "server": "the connection's end that is ours",
        "kubernetes": "where it runs, by the downward API: `node`, `podIP`, `hostIP`, `serviceAccount`, `zone`,"
        " `region`, `image`, chosen `labels`; outside a cluster `null`",
        "trace": "what `traceparent`, `tracestate`, `baggage` and B3 say; under `invalid`, why one says nothing",
        "credentials": "what Authorization says of who asks: its `scheme`, the user of `basic` credentials; and each"
        " `jwt` decoded, marked as verified or not",
        "applied": "what was asked for by `echo_*` and `X-Echo-*`: `granted`, with what was done where that was open,"
        " or `refused`, and why",
        "id": "X-Request-Id as it came, when it can be taken over, else one that is made; the answer has it, too",
        "time": "when it was answered: RFC 3339, UTC",
        "version": "the echo's",
    },
    ReflectedBody: {
        "length": "bytes of the whole, without transfer coding",
        "sha256": "of the whole",
        "text": "of the first 64 KiB, where they are UTF-8",
        "base64": "of the first 64 KiB, where they are not UTF-8",
        "decoded": "of a body with `Content-Encoding` (gzip, deflate, br, zstd, in any order): the same without it; or"
        " `refused`, and why: a bomb above `ECHO_MAX_DECODED`, data that is corrupt, a coding that is not known",
        "json": "what the Content-Type promises, where it parses: JSON as it was written",
        "form": "the pairs of a form",
        "multipart": "the parts of a multipart body, with name, file name, type, length and SHA-256",
        "multipartRefused": "why the parts can't be told",
    },
    ReflectedContent: {
        "codings": "in the order in which they were applied",
        "refused": "why it can't be shown without them",
    },
    Client: {
        "effective": "the first address, from the connection backwards, that is no trusted proxy's",
        "chain": "the nodes on the way: the client first, the connection last",
        "forwarded": "the elements of Forwarded (RFC 7239)",
        "xForwarded": "the values of X-Forwarded-* and X-Real-IP by name",
    },
    Hop: {
        "address": "as it is told: without brackets and port, or what is no address as it was written",
        "told": "the field that tells it, or the connection itself",
        "trusted": "whether it is a proxy of `ECHO_TRUSTED_PROXIES`",
    },
    Via: {"invalid": "an element that can't be read"},
    Kubernetes: {
        "image": "what the pod's manifest asks for",
        "labels": "those that were chosen and that the pod has",
    },
    TLS: {
        "serverName": "what the client asked for by SNI, or empty",
        "negotiatedProtocol": "by ALPN",
        "peerCertificates": "PEM, the client's own first",
    },
    Trace: {"invalid": "by name, why a field says nothing"},
    Credentials: {"invalid": "by name, why a credential can't be read"},
    Basic: {"password": "`***` unless `ECHO_SHOW_PASSWORDS` is on"},
    Jwt: {
        "verified": "whether a key of `ECHO_JWKS` has signed it and its times hold",
        "notVerified": "why it is not",
    },
    Applied: {
        "granted": "the wishes that were met, in the order in which they came",
        "refused": "those that were not",
    },
    Granted: {
        "value": "as it was asked for, shortened",
        "done": "what was done where the value leaves it open: the status of several, the seconds of a range",
    },
    Refused: {
        "name": "as it came",
        "value": "as it came, shortened",
        "bound": "what may be asked for",
    },
}

"""The GrpcEcho service of the Gateway API's conformance tests."""

from typing import Any

from msgspec import UNSET

from app.grpc import messages
from app.grpc.context import Asked
from app.grpc.status import CallError, Code
from app.http.request import shown, shown_pairs
from app.http.tls_info import CIPHER_SUITES, TLS

_PACKAGE = "gateway_api_conformance.echo_basic.grpcecho"
_REQUEST = messages.message(f"{_PACKAGE}.EchoRequest")
_RESPONSE = messages.message(f"{_PACKAGE}.EchoResponse")


def echo(asked: Asked, raw: bytes) -> bytes:
    """Return the request: metadata in the order received, values of `-bin` in base64 as received."""
    request, identity = asked.request, asked.policy.identity
    response = _RESPONSE(request=messages.parsed(_REQUEST, raw))
    told = response.assertions
    told.fully_qualified_method = shown(request.target)
    told.authority = shown(request.authority)
    for key, value in shown_pairs(request.fields):
        told.headers.add(key=key, value=value)
    context = told.context
    context.namespace, context.pod = identity.namespace or "", identity.pod or ""
    context.service_name, context.ingress = identity.service or "", identity.ingress or ""
    if asked.connection.tls:
        _tell(told.tls_assertions, asked.connection.tls)
    answered: bytes = response.SerializeToString()
    return answered


def unimplemented(asked: Asked, raw: bytes) -> bytes:
    """Raise `CallError`, as the conformance tests require of one method."""
    del raw
    raise CallError(Code.UNIMPLEMENTED, f"{shown(asked.request.target)} is unimplemented on purpose")


def _tell(told: Any, tls: TLS) -> None:
    told.version, told.server_name = tls.version, tls.server_name
    told.negotiated_protocol = "" if tls.negotiated_protocol is UNSET else tls.negotiated_protocol
    told.cipher_suite = CIPHER_SUITES.get(tls.cipher_suite, tls.cipher_suite)
    told.peer_certificates.extend(() if tls.peer_certificates is UNSET else tls.peer_certificates)

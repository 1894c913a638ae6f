"""The GrpcEcho service of the Gateway API's conformance tests."""

from typing import Any

from msgspec import UNSET

from app.grpc import messages
from app.grpc.context import CallContext
from app.grpc.status import CallError, StatusCode
from app.http.request import decode_lossless, decode_lossless_pairs
from app.http.tls_info import CIPHER_SUITES, TlsInfo

_PACKAGE = "gateway_api_conformance.echo_basic.grpcecho"
_REQUEST = messages.message_class(f"{_PACKAGE}.EchoRequest")
_RESPONSE = messages.message_class(f"{_PACKAGE}.EchoResponse")


def echo(context: CallContext, raw: bytes) -> bytes:
    """Return the request: metadata in the order received, values of `-bin` in base64 as received."""
    request, pod_info = context.request, context.policy.pod_info
    response = _RESPONSE(request=messages.parse_message(_REQUEST, raw))
    assertions = response.assertions
    assertions.fully_qualified_method = decode_lossless(request.target)
    assertions.authority = decode_lossless(request.authority)
    for key, value in decode_lossless_pairs(request.headers):
        assertions.headers.add(key=key, value=value)
    pod_context = assertions.context
    pod_context.namespace, pod_context.pod = pod_info.namespace or "", pod_info.pod or ""
    pod_context.service_name, pod_context.ingress = pod_info.service or "", pod_info.ingress or ""
    if context.connection.tls:
        _fill_tls_assertions(assertions.tls_assertions, context.connection.tls)
    payload: bytes = response.SerializeToString()
    return payload


def unimplemented(context: CallContext, raw: bytes) -> bytes:
    """Raise `CallError`, as the conformance tests require of one method."""
    del raw
    raise CallError(StatusCode.UNIMPLEMENTED, f"{decode_lossless(context.request.target)} is unimplemented on purpose")


def _fill_tls_assertions(assertions: Any, tls: TlsInfo) -> None:
    assertions.version, assertions.server_name = tls.version, tls.server_name
    assertions.negotiated_protocol = "" if tls.negotiated_protocol is UNSET else tls.negotiated_protocol
    assertions.cipher_suite = CIPHER_SUITES.get(tls.cipher_suite, tls.cipher_suite)
    assertions.peer_certificates.extend(() if tls.peer_certificates is UNSET else tls.peer_certificates)

"""The grpc.reflection.v1.ServerReflection service.

It describes the server's services to clients that have no .proto file of them.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from typing import Any

from app.grpc import messages
from app.grpc.context import CallContext
from app.grpc.status import CallError, StatusCode
from app.http.text import quote_excerpt

_REQUEST = messages.message_class("grpc.reflection.v1.ServerReflectionRequest")
_RESPONSE = messages.message_class("grpc.reflection.v1.ServerReflectionResponse")


def reflect(context: CallContext, raw: bytes) -> bytes:
    """Return the response to one request message of a stream. Raise `CallError` if it is empty or invalid."""
    request = messages.parse_message(_REQUEST, raw)
    kind = request.WhichOneof("message_request")
    if kind is None:
        raise CallError(StatusCode.INVALID_ARGUMENT, "empty ServerReflectionRequest")
    response = _RESPONSE(valid_host=request.host, original_request=request)
    _fill_response(response, kind, getattr(request, kind), context)
    payload: bytes = response.SerializeToString()
    return payload


def _fill_response(response: Any, kind: str, value: Any, context: CallContext) -> None:
    if kind == "list_services":
        for name in context.services:
            response.list_services_response.service.add(name=name)
        return
    try:
        descriptor = _find_descriptor(kind, value)
    except KeyError:
        response.error_response.error_code = StatusCode.NOT_FOUND
        response.error_response.error_message = f"{kind}: {quote_excerpt(_symbol_name(value))} not found"
        return
    if descriptor is None:
        response.all_extension_numbers_response.base_type_name = value
    else:
        response.file_descriptor_response.file_descriptor_proto.append(descriptor)


def _find_descriptor(kind: str, value: Any) -> bytes | None:
    """Return a file descriptor, or None if the request is for a type's extensions, of which there are none.

    Raise `KeyError` if nothing is found.
    """
    if kind == "file_by_filename":
        return messages.file_by_name(value)
    if kind == "file_containing_symbol":
        return messages.file_by_symbol(value)
    if kind == "all_extension_numbers_of_type":
        messages.message_class(value)
        return None
    raise KeyError(value)


def _symbol_name(value: Any) -> str:
    return value if isinstance(value, str) else f"{value.containing_type}.{value.extension_number}"

"""The grpc.reflection.v1.ServerReflection service.

It describes the server's services to clients that have no .proto file of them.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from typing import Any

from app.grpc import messages
from app.grpc.context import Asked
from app.grpc.status import CallError, Code
from app.http.text import quoted

_REQUEST = messages.message("grpc.reflection.v1.ServerReflectionRequest")
_RESPONSE = messages.message("grpc.reflection.v1.ServerReflectionResponse")


def reflect(asked: Asked, raw: bytes) -> bytes:
    """Return the response to one request message of a stream. Raise `CallError` if it is empty or invalid."""
    request = messages.parsed(_REQUEST, raw)
    kind = request.WhichOneof("message_request")
    if kind is None:
        raise CallError(Code.INVALID_ARGUMENT, "empty ServerReflectionRequest")
    response = _RESPONSE(valid_host=request.host, original_request=request)
    _answer(response, kind, getattr(request, kind), asked)
    answered: bytes = response.SerializeToString()
    return answered


def _answer(response: Any, kind: str, value: Any, asked: Asked) -> None:
    if kind == "list_services":
        for name in asked.services:
            response.list_services_response.service.add(name=name)
        return
    try:
        found = _found(kind, value)
    except KeyError:
        response.error_response.error_code = Code.NOT_FOUND
        response.error_response.error_message = f"{kind}: {quoted(_name(value))} not found"
        return
    if found is None:
        response.all_extension_numbers_response.base_type_name = value
    else:
        response.file_descriptor_response.file_descriptor_proto.append(found)


def _found(kind: str, value: Any) -> bytes | None:
    """Return a file descriptor, or None if the request is for a type's extensions, of which there are none.

    Raise `KeyError` if nothing is found.
    """
    if kind == "file_by_filename":
        return messages.file_named(value)
    if kind == "file_containing_symbol":
        return messages.file_of(value)
    if kind == "all_extension_numbers_of_type":
        messages.message(value)
        return None
    raise KeyError(value)


def _name(value: Any) -> str:
    return value if isinstance(value, str) else f"{value.containing_type}.{value.extension_number}"

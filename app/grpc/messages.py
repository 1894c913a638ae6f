"""Message classes of the gRPC services, and their file descriptors.

Importing `protobuf` takes 6 MB of memory and 25 ms: only workers that receive gRPC calls import this module.
https://googleapis.dev/python/protobuf/latest/
"""

from importlib.resources import files
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from app.grpc.status import CallError, StatusCode

# Compiled from the .proto files beside them, by `make format`. They are no FileDescriptorSet, for which the image would
# need `google.protobuf.descriptor_pb2`: 20 ms and 0.6 MB of memory for each worker that receives gRPC calls.
_FILES: Final = ("grpc/health/v1/health.binpb", "grpc/reflection/v1/reflection.binpb", "grpcecho.binpb")

_POOL = descriptor_pool.DescriptorPool()  # not the default pool, where others may register messages of the same names
for _file in _FILES:
    _POOL.AddSerializedFile(files("app.grpc").joinpath("proto", _file).read_bytes())


def message_class(name: str) -> Any:
    """Return the class of a message by its full name. Raise `KeyError` if it is unknown."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def parse_message(message_type: Any, raw: bytes) -> Any:
    """Parse a message of this class. Raise `CallError` if it is invalid."""
    try:
        return message_type.FromString(raw)
    except DecodeError:
        raise CallError(StatusCode.INTERNAL, f"message is not a valid {message_type.DESCRIPTOR.full_name}") from None


def file_by_name(name: str) -> bytes:
    """Return the FileDescriptorProto of a file. Raise `KeyError` if it is unknown."""
    descriptor: bytes = _POOL.FindFileByName(name).serialized_pb
    return descriptor


def file_by_symbol(symbol: str) -> bytes:
    """Return the FileDescriptorProto of the file that defines a symbol. Raise `KeyError` if none does."""
    descriptor: bytes = _POOL.FindFileContainingSymbol(symbol).serialized_pb
    return descriptor

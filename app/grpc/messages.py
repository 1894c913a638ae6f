"""The messages of the services: their classes by full name, and the files that describe them.

What `protobuf` needs is 6 MB of memory, and 25 ms to be imported: only who is called by gRPC pays for it.
https://googleapis.dev/python/protobuf/latest/
"""

from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from app.grpc.descriptors import FILES
from app.grpc.status import CallError, Code

_POOL = descriptor_pool.DescriptorPool()  # of our own: others' messages of the same names are theirs
for _file in FILES:
    _POOL.AddSerializedFile(_file)


def message(name: str) -> Any:
    """Give the class of a message by its full name."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def parsed(kind: Any, raw: bytes) -> Any:
    """Give a message of this class from its bytes. Raises `CallError`."""
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise CallError(Code.INTERNAL, f"message is not a valid {kind.DESCRIPTOR.full_name}") from None


def file_named(name: str) -> bytes:
    """Give a file's FileDescriptorProto. Raises `KeyError`."""
    described: bytes = _POOL.FindFileByName(name).serialized_pb
    return described


def file_of(symbol: str) -> bytes:
    """Give the FileDescriptorProto of the file that says what a symbol is. Raises `KeyError`."""
    described: bytes = _POOL.FindFileContainingSymbol(symbol).serialized_pb
    return described

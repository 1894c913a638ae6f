"""Generate the descriptors of gRPC's messages from app/grpc/proto.

`python -m tools.docs.descriptors` compiles each .proto file to a FileDescriptorProto, in a .binpb file beside it.
"""

import tempfile
from pathlib import Path
from typing import Final

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from tools.commands import ROOT

PROTOS: Final = ROOT / "app" / "grpc" / "proto"


def compiled() -> FileDescriptorSet:
    """Return the compiler's descriptors of the files."""
    files = sorted(str(file.relative_to(PROTOS)) for file in PROTOS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        code = protoc.main(["protoc", f"--proto_path={PROTOS}", f"--descriptor_set_out={out}", *files])
        assert code == 0, f"{grpc_tools.__name__} can't compile {files}"
        return FileDescriptorSet.FromString(out.read_bytes())


def generated() -> dict[Path, bytes]:
    """Return the contents of the generated files, by path."""
    return {
        (PROTOS / file.name).with_suffix(".binpb"): file.SerializeToString(deterministic=True)
        for file in compiled().file
    }


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_bytes(content)

"""Generate the descriptors of gRPC's messages from app/grpc/proto.

`python -m tools.docs.descriptors`.
"""

import tempfile
from pathlib import Path
from typing import Final

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from tools.commands import ROOT

PROTOS: Final = ROOT / "app" / "grpc" / "proto"
MADE: Final = ROOT / "app" / "grpc" / "descriptors.py"
_WIDTH: Final = 24  # bytes per line


def compiled() -> FileDescriptorSet:
    """Return the compiler's descriptors of the files."""
    files = sorted(str(file.relative_to(PROTOS)) for file in PROTOS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        code = protoc.main(["protoc", f"--proto_path={PROTOS}", f"--descriptor_set_out={out}", *files])
        assert code == 0, f"{grpc_tools.__name__} can't compile {files}"
        return FileDescriptorSet.FromString(out.read_bytes())


def written() -> str:
    """Return the text of the module."""
    lines = [
        '"""The files that describe the messages, as protobuf has them: made of proto/ by `make format`."""',
        "",
        "from typing import Final",
        "",
        "# fmt: off",
        "FILES: Final = (",
    ]
    for file in compiled().file:
        raw = file.SerializeToString(deterministic=True)
        pieces = [f"        {raw[at : at + _WIDTH]!r}" for at in range(0, len(raw), _WIDTH)]
        lines += [f"    (  # {file.name}", *pieces, "    ),"]
    return "\n".join([*lines, ")", "# fmt: on", ""])


if __name__ == "__main__":
    MADE.write_text(written())

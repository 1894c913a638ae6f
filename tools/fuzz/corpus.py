"""Stored inputs: a text file for each target.

The file has an input per line, in the escapes of `unicode_escape`. Inputs that were `found` to break something are
stored for ever; those by which more code is `reached` are selected again by `tools.fuzz.keeping`. `python -m
tools.fuzz.corpus TARGET FILE...` stores findings, each FILE one input.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

KEPT: Final = Path(__file__).parent / "corpus"
FOUND: Final = "found"
REACHED: Final = "reached"


def read(target: str, *kinds: str) -> list[bytes]:
    """Return the stored inputs of these kinds for a target, none if there is no file."""
    files = [KEPT / kind / f"{target}.txt" for kind in kinds]
    lines = [line for file in files if file.exists() for line in file.read_text(encoding="ascii").splitlines()]
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1") for line in lines]


def write(target: str, kind: str, inputs: Iterable[bytes]) -> None:
    """Store these inputs of a kind, and no others; the shortest come first."""
    lines = [each.decode("latin-1").encode("unicode_escape").decode("ascii") for each in {*inputs} if each]
    (KEPT / kind).mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in sorted(lines, key=lambda line: (len(line), line)))
    (KEPT / kind / f"{target}.txt").write_text(text, encoding="ascii")


if __name__ == "__main__":
    write(sys.argv[1], FOUND, [*read(sys.argv[1], FOUND), *(Path(name).read_bytes() for name in sys.argv[2:])])

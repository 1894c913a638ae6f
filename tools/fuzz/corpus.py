"""The inputs that are kept: a file of text for each target, an input a line, in the escapes of `unicode_escape`.

Those that were `found` to break something are kept for ever; those by which more is `reached` are chosen anew by
`tools.fuzz.keeping`. `python -m tools.fuzz.corpus TARGET FILE...` keeps what was found, each FILE one input.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

KEPT: Final = Path(__file__).parent / "corpus"
FOUND: Final = "found"
REACHED: Final = "reached"


def read(target: str, *kinds: str) -> list[bytes]:
    """Give the inputs of these kinds that are kept for a target, none where there is no file."""
    files = [KEPT / kind / f"{target}.txt" for kind in kinds]
    lines = [line for file in files if file.exists() for line in file.read_text(encoding="ascii").splitlines()]
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1") for line in lines]


def write(target: str, kind: str, inputs: Iterable[bytes]) -> None:
    """Keep these inputs of a kind, and no others; the shortest come first."""
    lines = [each.decode("latin-1").encode("unicode_escape").decode("ascii") for each in {*inputs} if each]
    (KEPT / kind).mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in sorted(lines, key=lambda line: (len(line), line)))
    (KEPT / kind / f"{target}.txt").write_text(text, encoding="ascii")


if __name__ == "__main__":
    write(sys.argv[1], FOUND, [*read(sys.argv[1], FOUND), *(Path(name).read_bytes() for name in sys.argv[2:])])

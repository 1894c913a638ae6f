"""`python -m tools.fuzz.keeping [TARGET...]`: select inputs to store.

Of the inputs that runs have left, it selects those that reach more code. An input is stored if echo goes from one line
to another as for no shorter input, no seed, and no input that was found to break something.
"""

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Final

from tools.commands import ROOT, say_to_stderr
from tools.fuzz import corpus
from tools.fuzz.targets import TARGETS, Target

_APP: Final = str(ROOT / "app")
_MOST: Final = 30_000  # bytes for a target: people read them, and each test run replays them

Step = tuple[str, int, int]
Trace = Callable[[FrameType, str, object], Any]


def steps_of(check: Callable[[bytes], None], data: bytes) -> set[Step]:
    """Return the line-to-line transitions that an input makes echo execute."""
    found: set[Step] = set()

    def traced(frame: FrameType, event: str, _: object) -> Trace | None:
        return _local(frame, found) if event == "call" and frame.f_code.co_filename.startswith(_APP) else None

    sys.settrace(traced)
    try:
        check(data)
    finally:
        sys.settrace(None)
    return found


def _local(frame: FrameType, found: set[Step]) -> Trace:
    name, last = frame.f_code.co_filename, 0

    def line(frame: FrameType, event: str, _: object) -> Trace:
        nonlocal last
        if event == "line":
            found.add((name, last, frame.f_lineno))
            last = frame.f_lineno
        return line

    return line


def chosen(target: Target, known: Iterable[bytes], inputs: Iterable[bytes]) -> list[bytes]:
    """Return those of the inputs that are to be stored in addition to the `known` ones."""
    reached: set[Step] = set()
    for each in known:
        reached |= steps_of(target.check, each)
    kept: list[bytes] = []
    size = 0
    for each in sorted(inputs, key=lambda data: (len(data), data)):
        new = steps_of(target.check, each) - reached
        if new and size + len(each) <= _MOST:
            kept.append(each)
            reached |= new
            size += len(each)
    return kept


def main() -> None:
    """Select for the named targets, or for all if none is named."""
    for name in sys.argv[1:] or TARGETS:
        target = TARGETS[name]
        left = (ROOT / ".fuzz" / "inputs" / name).glob("*")
        inputs = {*corpus.read(name, corpus.REACHED), *(file.read_bytes() for file in left)}
        kept = chosen(target, [*target.seeds(), *corpus.read(name, corpus.FOUND)], inputs)
        corpus.write(name, corpus.REACHED, kept)
        say_to_stderr(f"{name}: {len(kept)} inputs, {sum(map(len, kept)):,} bytes")


if __name__ == "__main__":
    main()

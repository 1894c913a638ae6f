"""`python -m tools.fuzz.keeping [TARGET...]` chooses, of what runs have left, the inputs by which more is reached.

An input is kept where it makes the echo go from one line to another as no shorter input does, no seed, and none that
was found to break something.
"""

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Final

from tools.commands import ROOT, say_to_stderr
from tools.fuzz import corpus
from tools.fuzz.targets import TARGETS, Target

_APP: Final = str(ROOT / "app")
_MOST: Final = 30_000  # bytes for a target: they are read by people, and played back by each run of the tests

Step = tuple[str, int, int]
Trace = Callable[[FrameType, str, object], Any]


def steps_of(check: Callable[[bytes], None], data: bytes) -> set[Step]:
    """Give the steps from line to line that an input makes the echo go."""
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
    """Give those of the inputs that are to be kept beside those that are `known`."""
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
    """Choose for the targets that are named, for all without any."""
    for name in sys.argv[1:] or TARGETS:
        target = TARGETS[name]
        left = (ROOT / ".fuzz" / "inputs" / name).glob("*")
        inputs = {*corpus.read(name, corpus.REACHED), *(file.read_bytes() for file in left)}
        kept = chosen(target, [*target.seeds(), *corpus.read(name, corpus.FOUND)], inputs)
        corpus.write(name, corpus.REACHED, kept)
        say_to_stderr(f"{name}: {len(kept)} inputs, {sum(map(len, kept)):,} bytes")


if __name__ == "__main__":
    main()

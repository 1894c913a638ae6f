"""Replay of stored fuzzing inputs, without the fuzzer (tools/fuzz).

They are past findings and the seeds of a run; any machine can replay them.
"""

from collections.abc import Callable

import pytest

from tools.fuzz import corpus
from tools.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_stays_mended(name: str) -> None:
    """Each target's checks pass for every stored input, and for the seeds of a run."""
    target = TARGETS[name]
    inputs = [*target.seeds(), *corpus.read(name, corpus.FOUND, corpus.REACHED)]
    assert inputs
    for each in inputs:
        assert len(each) <= target.longest
        _held(target.check, name, each)


def _held(check: Callable[[bytes], None], name: str, data: bytes) -> None:
    try:
        check(data)
    except Exception as error:
        error.add_note(f"{name}, by {data!r}")
        raise


def test_inputs_are_kept_as_they_were(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any bytes are stored as one line of ASCII; the shortest come first, without duplicates."""
    monkeypatch.setattr(corpus, "KEPT", tmp_path)
    every = bytes(range(256))
    corpus.write("a", corpus.FOUND, [every, b"\r\n\\x41\\", b"", b"a", b"a"])
    assert corpus.read("a", corpus.FOUND) == [b"a", b"\r\n\\x41\\", every]


def test_targets_and_files_agree() -> None:
    """There is no stored input for a target that no longer exists."""
    assert {file.stem for file in corpus.KEPT.glob("*/*")} <= {*TARGETS}

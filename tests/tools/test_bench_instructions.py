"""Stored instruction counts, and what counts as an increase."""

import pytest

from tools.bench import instructions
from tools.bench.results import Instructions


@pytest.mark.parametrize(
    ("kept", "now", "risen"),
    [(100_000, 90_000, False), (100_000, 105_000, False), (100_000, 105_001, True), (None, 900_000, False)],
)
def test_more_than_a_twentieth_above_what_is_kept_is_a_rise_and_red(kept: int | None, now: int, *, risen: bool) -> None:
    """An increase is red; a count close to the stored one is not, nor is one without a stored count."""
    count = Instructions("GET", kept, now)
    assert instructions.risen(count) is risen
    assert ("\033[31m" in instructions.shown([count])) is risen


def test_every_count_that_is_kept_is_of_a_request_that_is_counted() -> None:
    """If a request is renamed, added or removed, it is counted again before it is compared."""
    kept = instructions.kept()
    assert kept
    for counts in kept.values():
        assert list(counts) == list(instructions.REQUESTS)


def test_the_requests_are_what_their_names_say() -> None:
    """A browser's has twelve headers, and a body of 1 KiB has its real length."""
    bare, browser, post = (request for request, _ in instructions.REQUESTS.values())
    assert bare.count(b"\r\n") == 3
    assert browser.count(b"\r\n") == 1 + 12 + 1
    head, _, body = post.partition(b"\r\n\r\n")
    assert len(body) == 1024
    assert head.endswith(b"Content-Length: 1024")

"""Request IDs: received ones and generated ones."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.http.headers.request_id import RequestIds

EACH, THREADS = 2_000, 8


def test_threads_draw_ids_of_their_own() -> None:
    """Threads generate IDs concurrently, as in a threaded server, without errors or duplicates."""
    ids = RequestIds(frozenset())
    with ThreadPoolExecutor(THREADS) as pool:
        drawn = [
            made for many in pool.map(lambda _: [ids.generate() for _ in range(EACH)], range(THREADS)) for made in many
        ]
    assert len(set(drawn)) == EACH * THREADS
    assert all(re.fullmatch("[0-9a-f]{32}", made) for made in drawn)


@pytest.mark.parametrize(
    ("environ", "hidden", "given"),
    [
        ({}, (), ""),
        ({"HTTP_X_REQUEST_ID": "a-1"}, (), "a-1"),
        ({"HTTP_X_REQUEST_ID": "a b"}, (), ""),
        ({"HTTP_X_REQUEST_ID": "a-1"}, (b"x-request-id",), ""),
    ],
)
def test_an_id_that_comes_is_taken_over_when_it_may_be_seen(
    environ: dict[str, str], hidden: tuple[bytes, ...], given: str
) -> None:
    """An invalid or redacted ID is treated as absent."""
    assert RequestIds(hidden).from_environ(environ) == given

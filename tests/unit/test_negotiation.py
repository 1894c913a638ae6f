"""Which answer a client gets, by what it accepts."""

import pytest

from app.answers import ANSWERS, HEADERS, HTML, JSON, TEXT
from app.negotiation import preferred

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", HTML),
        ("*/*", HTML),
        (BROWSER, HTML),
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("text/plain", TEXT),
        ("application/json, text/plain, */*", JSON),
        ("text/plain, application/json", TEXT),
        ("text/html;q=0.5, application/json", JSON),
        ("text/html, application/json;q=0.5", HTML),
        ("text/*;q=0.9, application/json;q=0.8", HTML),
        ("text/*, text/html;q=0", TEXT),
        ("text/html;q=0.1, */*;q=0.2", JSON),
        ("*/*;q=0.1, text/plain;q=0.05", HTML),
        ("application/*", JSON),
        ("image/png", None),
        ("application/json;q=0", None),
        ("application/json; q=0.000, text/plain;q=0", None),
        ("application/json;q=2", None),
        ("application/json;q=nan, text/plain;q=0.001", TEXT),
        ("application/jsonp", None),
        (",;,", None),
        ("a" * 100_000 + ",application/json", JSON),
    ],
)
def test_a_client_gets_what_it_prefers(accept: str, answer: str | None) -> None:
    """By quality, then by how it is named, then by what is offered first (RFC 9110, 12.5.1)."""
    assert preferred(accept, tuple(ANSWERS)) == answer


def test_every_answer_has_its_headers_and_none_can_be_taken_for_another_type() -> None:
    """A type that browsers are told not to guess at, and nothing that they keep."""
    assert set(HEADERS) == set(ANSWERS)
    for media_type, headers in HEADERS.items():
        assert headers["Content-Type"].partition(";")[0] == media_type
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"

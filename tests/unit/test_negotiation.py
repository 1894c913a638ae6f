"""Content negotiation: the response format by the Accept header."""

import pytest

from app.http.headers.accept import ANY, negotiate_media_type

HTML, JSON, TEXT = "text/html", "application/json", "text/plain"

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", ANY),
        ("*/*", ANY),
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
        ("*/*;q=0.1, text/plain;q=0.05", ANY),
        ("image/png, */*;q=0.1", ANY),
        ("*/*, text/html", HTML),
        ("application/*", JSON),
        ("image/png", None),
        ("application/json;q=0", None),
        ("application/json; q=0.000, text/plain;q=0", None),
        ("application/json;q=2", ANY),
        ("application/json;q=2, image/png", None),
        ("application/json;q=nan, text/plain;q=0.001", TEXT),
        ("application/jsonp", None),
        (",;,", ANY),
        ("json", ANY),
        ("a/b/c, /, a/", ANY),
        ("a/b, json", None),
        ("a" * 100_000 + ",application/json", JSON),
        ("a/b," * 5000 + "application/json", None),
        ("," * 100_000, ANY),
    ],
)
def test_a_client_gets_what_it_prefers(accept: str, answer: str | None) -> None:
    """The best type is chosen by quality, then by specificity, then by the order of offers (RFC 9110, 12.5.1)."""
    assert negotiate_media_type(accept, (HTML, JSON, TEXT), HTML) == answer


def test_the_default_is_weighed_by_its_own_name_where_it_has_one() -> None:
    """If Accept names the default type with a lower quality, another type wins.

    If it does not name it, the default wins.
    """
    assert negotiate_media_type("text/html;q=0.1, */*;q=0.2", (HTML, JSON), HTML) == JSON
    assert negotiate_media_type("text/html;q=0.1, */*;q=0.2", (HTML, JSON), JSON) == ANY
    assert negotiate_media_type("application/json;q=0, */*", (HTML, JSON), JSON) == HTML

"""Field names in other spellings, whether they are remembered or not."""

import pytest

from app.http.headers.names import canonical, cgi_key

LONG = b"x-" + b"y" * 5000


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (b"Host", "HTTP_HOST"),
        (b"x-FORWARDED-for", "HTTP_X_FORWARDED_FOR"),
        (b"content-TYPE", "CONTENT_TYPE"),
        (b"Content-Length", "CONTENT_LENGTH"),
        (b"Transfer-Encoding", None),
        (b"X_a", None),
        (LONG, "HTTP_X_" + "Y" * 5000),
    ],
)
def test_a_field_has_the_key_that_cgi_gives_it(name: bytes, key: str | None) -> None:
    """The same the first time and later; none for what would pass for another name."""
    assert [cgi_key(name), cgi_key(name)] == [key, key]


def test_a_long_name_is_written_as_a_short_one_is() -> None:
    """Only remembering depends on the length."""
    assert canonical(LONG) == "X-Y" + "y" * 4999

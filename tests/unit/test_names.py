"""Header names in other spellings, whether cached or not."""

import pytest

from app.http.headers.names import canonical_name, cgi_key

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
    """The key is the same the first time and later; names that would pass for another one have none."""
    assert [cgi_key(name), cgi_key(name)] == [key, key]


def test_a_long_name_is_written_as_a_short_one_is() -> None:
    """The spelling does not depend on the length; only caching does."""
    assert canonical_name(LONG) == "X-Y" + "y" * 4999

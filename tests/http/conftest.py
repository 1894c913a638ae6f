"""An echo with default settings, shared by tests that do not alter it."""

from collections.abc import Iterator

import pytest

from tests.http.process import Echo, running

pytest.register_assert_rewrite("tests.http.under_way")


@pytest.fixture(scope="package")
def echo() -> Iterator[Echo]:
    """Yield a running echo with its default settings."""
    with running() as echo:
        yield echo
        assert echo.process.poll() is None, "it has lived through all of it"

"""Base images that the image is tested on."""

import os

import pytest

from tests.e2e.supply import bases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests by each base that is available."""
    if "base" in metafunc.fixturenames:
        metafunc.parametrize("base", bases(os.environ), scope="module")

"""The bases on which the image is tried."""

import os

import pytest

from tests.e2e.supply import bases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try the image on each base that can be had here."""
    if "base" in metafunc.fixturenames:
        metafunc.parametrize("base", bases(os.environ), scope="module")

"""Fixtures shared by unit tests."""

from pathlib import Path

import pytest

from tests.support.tls_client import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return a server's certificate files in a folder."""
    return Files(tmp_path)

"""Settings of all tests, and fixtures shared by those with Docker."""

import gc
import os
import signal
import time
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.e2e.supply import Supply, supply
from tools.commands import Say, follow

# No deadline, because a busy machine makes an example slow, and no test states how long anything takes.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")

# A terminated run cleans up, as after Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Disable garbage collection while tests are collected, and freeze them then: that saves a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Return a function that prints progress in spite of pytest's capturing."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    began = time.monotonic()

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n  [{time.monotonic() - began:4.0f} s] {line}", end="", flush=True)  # noqa: T201 - its purpose

    return say


@pytest.fixture(scope="session")
def supplied(say: Say) -> Supply:
    """Return the third-party images, after they are available."""
    return supply(os.environ, say)


@pytest.fixture(scope="session")
def image(supplied: Supply, say: Say) -> str:
    """Return the reference of our image, built as people build it, on the default base."""
    say(f"make image, on {supplied.base_image}")
    return follow("make", "--no-print-directory", "image", say=lambda _: None).strip().splitlines()[-1]

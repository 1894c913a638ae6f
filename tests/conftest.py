"""What holds for all tests, and what those with Docker share."""

import gc
import os
import signal
import time
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.e2e.supply import Supply, supply
from tools.commands import Say, follow

# A machine that is busy makes an example slow, and no test says how long anything takes.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")

# A run that is told to end takes down what it made, as after Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage while tests are collected, nor look at them again: that is a third of the time it takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Give a way to tell a person what goes on, in spite of pytest's capturing."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    began = time.monotonic()

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n  [{time.monotonic() - began:4.0f} s] {line}", end="", flush=True)  # noqa: T201 - its purpose

    return say


@pytest.fixture(scope="session")
def supplied(say: Say) -> Supply:
    """Give the images of others that are used, once they are there."""
    return supply(os.environ, say)


@pytest.fixture(scope="session")
def image(supplied: Supply, say: Say) -> str:
    """Give the reference of our image, made as people make it, on the default base."""
    say(f"make image, on {supplied.base_image}")
    return follow("make", "--no-print-directory", "image", say=lambda _: None).strip().splitlines()[-1]

"""Fuzz targets by name.

Each is a function of bytes that raises if echo is at fault.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from tools.fuzz import (
    access_log,
    answers,
    bodies,
    controls,
    grpc,
    http1,
    http2,
    negotiation,
    page,
    provenance,
    proxy,
    reflection,
    websocket,
)


class Target(NamedTuple):
    """One target: its check, its seeds, `words` that inputs are composed of, and the maximum bytes of an input."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: Sequence[bytes]
    longest: int


TARGETS: Final = {
    "access_log": Target(access_log.check, access_log.seeds, access_log.WORDS, access_log.LONGEST),
    "answers": Target(answers.check, answers.seeds, answers.WORDS, answers.LONGEST),
    "bodies": Target(bodies.check, bodies.seeds, bodies.WORDS, bodies.LONGEST),
    "controls": Target(controls.check, controls.seeds, controls.WORDS, controls.LONGEST),
    "grpc": Target(grpc.check, grpc.seeds, grpc.WORDS, grpc.LONGEST),
    "http1": Target(http1.check, http1.seeds, http1.WORDS, http1.LONGEST),
    "http2": Target(http2.check, http2.seeds, http2.WORDS, http2.LONGEST),
    "negotiation": Target(negotiation.check, negotiation.seeds, negotiation.WORDS, negotiation.LONGEST),
    "page": Target(page.check, page.seeds, page.WORDS, page.LONGEST),
    "provenance": Target(provenance.check, provenance.seeds, provenance.WORDS, provenance.LONGEST),
    "proxy": Target(proxy.check, proxy.seeds, proxy.WORDS, proxy.LONGEST),
    "reflection": Target(reflection.check, reflection.seeds, reflection.WORDS, reflection.LONGEST),
    "websocket": Target(websocket.check, websocket.seeds, websocket.WORDS, websocket.LONGEST),
}

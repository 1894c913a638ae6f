"""Chooses what a wish leaves open: the status of a weighted list, the delay of a range, whether a try fails."""

from http import HTTPStatus
from random import Random
from typing import Any, Final, NamedTuple

from msgspec import structs

from app.applied import Applied
from app.controls.tries import Tries
from app.controls.wishes import Wishes


class Choice(NamedTuple):
    """What was chosen where a wish left it open: the status, 0 for the answer's own; the delay in seconds.

    `tries` is how often the request was tried, where that is counted.
    """

    status: int = 0
    delay: float = 0.0
    tries: int = 0


NOTHING: Final = Choice()


def choose(wishes: Wishes, random: Random, tries: Tries, request_id: str) -> Choice:
    """Choose a status and a delay. With a seed, the same wish is always chosen alike.

    A try that is to fail has its status, whatever else is asked for.
    """
    if wishes.status is None and wishes.delay is None and not wishes.fail_first:
        return NOTHING
    random = Random(wishes.seed) if wishes.seed else random  # noqa: S311 - no secret is made of it
    status = wishes.status.choose(random) if wishes.status else 0
    delay = wishes.delay.choose(random) if wishes.delay else 0.0
    tried = tries.again(request_id) if wishes.fail_first else 0
    failing = 0 < tried <= wishes.fail_first
    return Choice(HTTPStatus.SERVICE_UNAVAILABLE if failing else status, delay, tried)


def noted(applied: Applied, choice: Choice) -> Applied:
    """Note what was chosen beside what was asked for."""
    if choice is NOTHING:
        return applied
    chosen: dict[str, Any] = {
        "status": choice.status,
        "delay": choice.delay,
        "time": choice.delay,
        "fail_first": {"try": choice.tries},
    }
    granted = (
        structs.replace(each, done=chosen[each.name]) if each.name in chosen else each for each in applied.granted
    )
    return Applied(tuple(granted), applied.refused)

"""Resolution of controls that leave a choice.

It chooses the status of a weighted list, the delay of a range, the content coding, and whether an attempt fails.
"""

from http import HTTPStatus
from random import Random
from typing import Any, Final, NamedTuple

from msgspec import structs

from app.echo.controls.attempts import Tries
from app.echo.controls.params import NONE, Wishes
from app.http.compress import AUTO, accepted
from app.http.controls_report import Applied


class Choice(NamedTuple):
    """The chosen values: the status, 0 for the response's own; the delay in seconds; the content coding.

    `tries` is the number of attempts, 0 if they are not counted.
    """

    status: int = 0
    delay: float = 0.0
    tries: int = 0
    coding: str = ""


NOTHING: Final = Choice()


def choose(wishes: Wishes, random: Random, tries: Tries, request_id: str, accept_encoding: str) -> Choice:
    """Choose a status, a delay and a content coding. With a seed, the same controls always get the same choices.

    An attempt that must fail gets status 503, whatever other status is requested.
    """
    if wishes is NONE:
        return NOTHING
    random = Random(wishes.seed) if wishes.seed else random  # noqa: S311 - no secret is made of it
    status = wishes.status.choose(random) if wishes.status else 0
    delay = wishes.delay.choose(random) if wishes.delay else 0.0
    tried = tries.again(request_id) if wishes.fail_first else 0
    failing = 0 < tried <= wishes.fail_first
    coding = accepted(accept_encoding) if wishes.compress == AUTO else wishes.compress
    return Choice(HTTPStatus.SERVICE_UNAVAILABLE if failing else status, delay, tried, coding)


def noted(applied: Applied, choice: Choice) -> Applied:
    """Return the report with the chosen values added to the applied controls."""
    if choice is NOTHING:
        return applied
    chosen: dict[str, Any] = {
        "status": choice.status,
        "delay": choice.delay,
        "time": choice.delay,
        "fail_first": {"try": choice.tries},
        "compress": choice.coding or "identity",
    }
    granted = (
        structs.replace(each, done=chosen[each.name]) if each.name in chosen else each for each in applied.granted
    )
    return Applied(tuple(granted), applied.refused)

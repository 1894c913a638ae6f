"""Resolution of controls that leave a choice.

It chooses the status of a weighted list, the delay of a range, the content coding, and whether an attempt fails.
"""

from http import HTTPStatus
from random import Random
from typing import Any, Final, NamedTuple

from msgspec import structs

from app.echo.controls.attempts import AttemptCounter
from app.echo.controls.params import ControlParams
from app.http.compress import AUTO, negotiate_encoding
from app.http.controls_report import ControlsReport


class ResolvedControls(NamedTuple):
    """The chosen values: the status, 0 for the response's own; the delay in seconds; the content coding.

    `attempts` is the number of attempts, 0 if they are not counted.
    """

    status: int = 0
    delay: float = 0.0
    attempts: int = 0
    coding: str = ""


UNRESOLVED: Final = ResolvedControls()


def resolve_controls(
    params: ControlParams, random: Random, attempt_counter: AttemptCounter, request_id: str, accept_encoding: str
) -> ResolvedControls:
    """Choose a status, a delay and a content coding. With a seed, the same controls always get the same choices.

    An attempt that must fail gets status 503, whatever other status is requested.
    """
    random = Random(params.seed) if params.seed else random  # noqa: S311 - no secret is made of it
    status = params.status.choose(random) if params.status else 0
    delay = params.delay.choose(random) if params.delay else 0.0
    attempt = attempt_counter.increment(request_id) if params.fail_first else 0
    must_fail = 0 < attempt <= params.fail_first
    coding = negotiate_encoding(accept_encoding) if params.compress == AUTO else params.compress
    return ResolvedControls(HTTPStatus.SERVICE_UNAVAILABLE if must_fail else status, delay, attempt, coding)


def annotate_report(report: ControlsReport, resolved_controls: ResolvedControls) -> ControlsReport:
    """Return the report with the chosen values added to the applied controls."""
    if not report.granted:
        return report
    chosen_values: dict[str, Any] = {
        "status": resolved_controls.status,
        "delay": resolved_controls.delay,
        "time": resolved_controls.delay,
        "fail_first": {"try": resolved_controls.attempts},
        "compress": resolved_controls.coding or "identity",
    }
    applied_controls = (
        structs.replace(control, chosen=chosen_values[control.name]) if control.name in chosen_values else control
        for control in report.granted
    )
    return ControlsReport(tuple(applied_controls), report.refused)

"""Fuzz target: the access log.

Whatever a request contains, it is logged as one line of printable ASCII, which states what was requested. An input is a
request.
"""

import json
import re
from typing import Final

from app.config import downward_api, policy
from app.config.settings import Settings
from app.echo.context import Context
from app.http.record import About, Answered
from app.http.request import shown
from app.telemetry.access_log import AccessLog
from app.telemetry.log_fields import TARGET, Facts
from app.telemetry.log_writer import LONGEST as LONGEST_LINE
from tools.fuzz import contexts

LONGEST: Final = 4096
WORDS: Final = contexts.WORDS
seeds = contexts.seeds
_HIDING: Final = Settings(
    trusted_proxies="192.0.2.0/24", redact="X-Forwarded-For,Forwarded,X-Real-IP,Traceparent,X-Request-Id,X-Echo-Status"
)
_FACTS: Final = tuple(
    Facts(policy.read(settings, downward_api.read({})))
    for settings in (Settings(trusted_proxies="192.0.2.0/24"), _HIDING)
)
_COMMON: Final = re.compile(rb'[!-~]+ - - \[[^]]+\] "((?:[ !#-\[\]-~]|\\["\\]|\\x[0-9a-f]{2}|\.\.\.)*)" 200 5\n')
_PLAIN: Final = re.compile(rb"[ -~]+\n")


def check(data: bytes) -> None:
    """Log what may be a request, in both formats, with nothing masked and with everything masked."""
    context = contexts.context_of(data)
    if context is None:
        return
    for facts in _FACTS:
        answered = _answered(context)
        line = AccessLog("json", facts).lines([answered])
        assert _PLAIN.fullmatch(line)
        assert len(line) <= LONGEST_LINE
        told, target = json.loads(line), shown(context.request.target)
        assert told["status"] == 200
        assert told["target"] == target or (len(told["target"]) <= TARGET and told["target"].endswith("..."))
        common = AccessLog("common", facts).lines([answered])
        assert len(common) <= LONGEST_LINE
        assert _COMMON.fullmatch(common), common
    hidden = json.loads(AccessLog("json", _FACTS[1]).lines([answered]))
    assert hidden["client"] == contexts.CONNECTION.client.address
    assert "***" in hidden["id"]


def _answered(context: Context) -> Answered:
    about = About("json", context.id, context.now, context.applied)
    return Answered(context.request, context.connection, "200 OK", about, 0.0123, 5, context.request.body.length)

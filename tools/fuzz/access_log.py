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
from app.http.record import RequestRecord, ResponseInfo
from app.http.request import decode_lossless
from app.telemetry.access_log import AccessLog
from app.telemetry.log_fields import MAX_TARGET, LogFields
from app.telemetry.log_writer import MAX_LINE as LONGEST_LINE
from tools.fuzz import contexts

LONGEST: Final = 4096
WORDS: Final = contexts.WORDS
seeds = contexts.seeds
_HIDING: Final = Settings(
    trusted_proxies="192.0.2.0/24", redact="X-Forwarded-For,Forwarded,X-Real-IP,Traceparent,X-Request-Id,X-Echo-Status"
)
_FACTS: Final = tuple(
    LogFields(policy.build_policy(settings, downward_api.read_pod_info({})))
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
        line = AccessLog("json", facts).format_lines([answered])
        assert _PLAIN.fullmatch(line)
        assert len(line) <= LONGEST_LINE
        told, target = json.loads(line), decode_lossless(context.request.target)
        assert told["status"] == 200
        assert told["target"] == target or (len(told["target"]) <= MAX_TARGET and told["target"].endswith("..."))
        common = AccessLog("common", facts).format_lines([answered])
        assert len(common) <= LONGEST_LINE
        assert _COMMON.fullmatch(common), common
    hidden = json.loads(AccessLog("json", _FACTS[1]).format_lines([answered]))
    assert hidden["client"] == contexts.CONNECTION.client.address
    assert "***" in hidden["id"]


def _answered(context: Context) -> RequestRecord:
    about = ResponseInfo("json", context.id, context.now, context.controls_report)
    return RequestRecord(context.request, context.connection, "200 OK", about, 0.0123, 5, context.request.body.length)

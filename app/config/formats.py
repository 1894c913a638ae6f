"""Names of response formats and dialects."""

from typing import Final, Literal, get_args

BARE: Final = "bare"
EVENTS: Final = "events"  # server-sent events, by request only
ECHO: Final = "echo"  # this server's own formats, instead of a dialect

Format = Literal["bare", "html", "json", "yaml", "text"]
Dialect = Literal["gateway-api", "whoami", "echoserver"]
DialectSetting = Literal["echo", Dialect]

# All names that a request can select.
NAMES: Final[tuple[str, ...]] = (*get_args(Format), EVENTS, ECHO, *get_args(Dialect))

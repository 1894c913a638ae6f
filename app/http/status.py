"""Status codes that a response can have: the final ones (RFC 9110, 15)."""

from typing import Final

MIN_STATUS: Final = 200
MAX_STATUS: Final = 599
# Classes of status codes: the first digit.
SUCCESS_CLASS: Final = 2
REDIRECTION_CLASS: Final = 3
STATUS_PATTERN: Final = "[2-5][0-9]{2}"  # the same range as a regular expression, without anchors

"""Attack payloads from the files in `payloads`, parsed and validated.

They target the programs that display a response.
"""

import tomllib
from pathlib import Path
from typing import Final

import msgspec

_FOLDER: Final = Path(__file__).parent / "payloads"


class Payloads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payloads of one kind, one Latin-1 character per byte; `markup` marks those that are markup in HTML text."""

    what: str
    markup: bool
    payloads: list[str]

    def bytes(self) -> list[bytes]:
        """Return the payloads as they are sent."""
        return [payload.encode("latin-1") for payload in self.payloads]


def _read(path: Path) -> Payloads:
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Payloads)


BY_KIND: Final = {path.stem: _read(path) for path in sorted(_FOLDER.glob("*.toml"))}
ALL: Final = tuple(dict.fromkeys(payload for kind in BY_KIND.values() for payload in kind.bytes()))
MARKUP: Final = tuple(payload for kind in BY_KIND.values() if kind.markup for payload in kind.bytes())

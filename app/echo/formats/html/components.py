"""View model of the page: sections, tables, texts and remarks.

A section has a heading and blocks; a block is a table, a text or a remark.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import msgspec

ROWS: Final = 1000  # maximum rows of one table; a query of 64 KiB may have 32,768 pairs
_LEVELS: Final = 6  # maximum nesting levels that are flattened

Row = tuple[str, ...]


class Table(msgspec.Struct, frozen=True):
    """A table with column headings; the first cell of a row is the row's heading.

    `wire` means that row headings are data from the client, too; `numbered` that rows are numbered, as their order
    matters. `left_out` is the number of rows omitted.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Row
    rows: Sequence[Row]
    left_out: int = 0
    wire: bool = True
    numbered: bool = False


class Text(msgspec.Struct, frozen=True):
    """A preformatted text; `whole` means that a click selects all of it, for copying."""

    kind: ClassVar[str] = "text"
    caption: str
    text: str
    whole: bool = False


class Remark(msgspec.Struct, frozen=True):
    """A sentence written by the server."""

    kind: ClassVar[str] = "remark"
    text: str


Block = Table | Text | Remark


class Section(msgspec.Struct, frozen=True):
    """A section; `id` is its URL fragment, `hint` a short text under its title. Without blocks it is not shown."""

    id: str
    title: str
    hint: str
    blocks: Sequence[Block]


def pairs(caption: str, rows: Sequence[Row], *, wire: bool = True, numbered: bool = False) -> list[Block]:
    """Return a list with a table of names and values, empty without rows."""
    return table(caption, ("Name", "Value"), rows, wire=wire, numbered=numbered)


def table(caption: str, columns: Row, rows: Sequence[Row], *, wire: bool = True, numbered: bool = False) -> list[Block]:
    """Return a list with a table of at most `ROWS` rows, empty without rows."""
    if not rows:
        return []
    return [Table(caption, columns, rows[:ROWS], max(0, len(rows) - ROWS), wire, numbered)]


def told(*labelled: tuple[str, str | int | None]) -> list[Row]:
    """Return rows of labels and values, without those whose value is None or empty."""
    return [(label, str(value)) for label, value in labelled if value not in {None, ""}]


def named(value: Any) -> list[Row]:
    """Flatten a value of any shape into names and values, with names as in the reflection: `ssl.client[0]`."""
    return list(_named("", msgspec.to_builtins(value), _LEVELS))


def _named(name: str, value: Any, levels: int) -> Iterator[Row]:
    if not isinstance(value, dict | list | tuple) or not value or not levels:
        yield name, value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return
    for key, inner in _items(value):
        yield from _named(f"{name}{key}" if name or key.startswith("[") else key.removeprefix("."), inner, levels - 1)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the items of a value, each after its path suffix: `.name` or `[index]`; a list of pairs has names."""
    if isinstance(value, dict):
        yield from ((f".{name}", inner) for name, inner in value.items())
    elif all(isinstance(item, list | tuple) and [type(each) for each in item] == [str, str] for item in value):
        yield from ((f".{name}", inner) for name, inner in value)
    else:
        yield from ((f"[{place}]", inner) for place, inner in enumerate(value))


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun, singular or plural."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shortened(text: str, longest: int) -> str:
    """Return a text, truncated with an ellipsis if it is longer than `longest` characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"

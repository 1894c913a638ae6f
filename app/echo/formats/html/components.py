"""View model of the page: sections, tables, texts and remarks.

A section has a heading and blocks; a block is a table, a text or a remark.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import msgspec

ROWS: Final = 1000  # maximum rows of one table; a query of 64 KiB may have 32,768 pairs
_MAX_LEVELS: Final = 6  # maximum nesting levels that are flattened

Row = tuple[str, ...]


class Table(msgspec.Struct, frozen=True):
    """A table with column headings; the first cell of a row is the row's heading.

    `wire` means that row headings are data from the client, too; `numbered` that rows are numbered, as their order
    matters. `omitted_rows` is the number of rows omitted.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Row
    rows: Sequence[Row]
    omitted_rows: int = 0
    wire: bool = True
    numbered: bool = False


class Text(msgspec.Struct, frozen=True):
    """A preformatted text; `select_all` means that a click selects all of it, for copying."""

    kind: ClassVar[str] = "text"
    caption: str
    text: str
    select_all: bool = False


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


def present_rows(*labelled_values: tuple[str, str | int | None]) -> list[Row]:
    """Return rows of labels and values, without those whose value is None or empty."""
    return [(label, str(value)) for label, value in labelled_values if value not in {None, ""}]


def flatten(value: Any) -> list[Row]:
    """Flatten a value of any shape into names and values, with names as in the reflection: `ssl.client[0]`."""
    return list(_flatten("", msgspec.to_builtins(value), _MAX_LEVELS))


def _flatten(name: str, value: Any, levels: int) -> Iterator[Row]:
    if not isinstance(value, dict | list | tuple) or not value or not levels:
        yield name, value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return
    for key, inner in _items(value):
        yield from _flatten(f"{name}{key}" if name or key.startswith("[") else key.removeprefix("."), inner, levels - 1)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the items of a value, each after its path suffix: `.name` or `[index]`; a list of pairs has names."""
    if isinstance(value, dict):
        yield from ((f".{name}", inner) for name, inner in value.items())
    elif all(isinstance(item, list | tuple) and [type(element) for element in item] == [str, str] for item in value):
        yield from ((f".{name}", inner) for name, inner in value)
    else:
        yield from ((f"[{index}]", inner) for index, inner in enumerate(value))


def pluralize(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun, singular or plural."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def ellipsize(text: str, limit: int) -> str:
    """Return a text, truncated with an ellipsis if it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"

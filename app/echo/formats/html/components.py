"""What the page is made of, as values: a section has a heading and blocks, a block is a table, a text or a remark."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import msgspec

ROWS: Final = 1000  # of one table; a query of 64 KiB may have 32,768 pairs
_LEVELS: Final = 6  # of nested values that are told apart

Row = tuple[str, ...]


class Table(msgspec.Struct, frozen=True):
    """Rows under the heads of their columns; the first cell of a row is its head.

    `wire` tells that this head is a client's, too, and `numbered` that the order of the rows says something. `left_out`
    rows are not shown.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Row
    rows: Sequence[Row]
    left_out: int = 0
    wire: bool = True
    numbered: bool = False


class Text(msgspec.Struct, frozen=True):
    """A text of its own, as it is; `whole` tells that it is selected as a whole, to be copied."""

    kind: ClassVar[str] = "text"
    caption: str
    text: str
    whole: bool = False


class Remark(msgspec.Struct, frozen=True):
    """A sentence of ours."""

    kind: ClassVar[str] = "remark"
    text: str


Block = Table | Text | Remark


class Section(msgspec.Struct, frozen=True):
    """One section; `id` is its fragment, `hint` a few words under its title. One without blocks is not shown."""

    id: str
    title: str
    hint: str
    blocks: Sequence[Block]


def pairs(caption: str, rows: Sequence[Row], *, wire: bool = True, numbered: bool = False) -> list[Block]:
    """Give names and values as a table, none where there are none."""
    return table(caption, ("Name", "Value"), rows, wire=wire, numbered=numbered)


def table(caption: str, columns: Row, rows: Sequence[Row], *, wire: bool = True, numbered: bool = False) -> list[Block]:
    """Give a table of as many rows as are shown, none where there are none."""
    if not rows:
        return []
    return [Table(caption, columns, rows[:ROWS], max(0, len(rows) - ROWS), wire, numbered)]


def told(*labelled: tuple[str, str | int | None]) -> list[Row]:
    """Give rows of what is known; what is None or empty was not told."""
    return [(label, str(value)) for label, value in labelled if value not in {None, ""}]


def named(value: Any) -> list[Row]:
    """Give a value of any shape as names and values, the names as in the reflection: `ssl.client[0]`."""
    return list(_named("", msgspec.to_builtins(value), _LEVELS))


def _named(name: str, value: Any, levels: int) -> Iterator[Row]:
    if not isinstance(value, dict | list | tuple) or not value or not levels:
        yield name, value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return
    for key, inner in _items(value):
        yield from _named(f"{name}{key}" if name or key.startswith("[") else key.removeprefix("."), inner, levels - 1)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Give what a value holds by how it is reached from it; a list of pairs is reached by their names."""
    if isinstance(value, dict):
        yield from ((f".{name}", inner) for name, inner in value.items())
    elif all(isinstance(item, list | tuple) and [type(each) for each in item] == [str, str] for item in value):
        yield from ((f".{name}", inner) for name, inner in value)
    else:
        yield from ((f"[{place}]", inner) for place, inner in enumerate(value))


def counted(number: int, one: str, many: str = "") -> str:
    """Give a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shortened(text: str, longest: int) -> str:
    """Give a text, its end left out where it is longer than so many characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"

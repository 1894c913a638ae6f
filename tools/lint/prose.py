"""Prose of the project: documents, docstrings, comments and messages.

Code is not prose: code blocks, code in backticks and URLs are replaced. Line breaks stay, so that positions are true.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final


class Kind(Enum):
    """Kind of a piece of prose; it selects the rules."""

    TEXT = auto()
    MODULE = auto()  # docstring of a module
    FUNCTION = auto()  # docstring of a function or method
    PHRASE = auto()  # a message or a table row: not made of sentences


@dataclass(frozen=True)
class Piece:
    """A document, docstring, block of comments, message or table row, and the number of its first line."""

    line: int
    text: str
    kind: Kind = Kind.TEXT


_BLOCKS_OF_CODE: Final = re.compile(
    r"^( *)```[^\n]*\n.*?^\1```$"  # fenced
    r"|(?:(?<=\n\n)|\A)(?: {4}[^\n]*(?:\n+|\Z))+"  # indented, after an empty line
    r"|<!--.*?-->",
    re.MULTILINE | re.DOTALL,
)
_INLINE_CODE: Final = re.compile(r"``[^`]+``|`(?:[^`\n]|\n(?!\s*\n))+`|\bhttps?://[^\s)>]+")
_LINK: Final = re.compile(r"!?\[([^]]*)\]\([^)\s]*\)")

# String literals are matched too, because a `#` in them starts no comment.
_PYTHON_COMMENT: Final = re.compile(
    r"""(?s:(?P<quotes>\"""|\'\'\')(?:\\.|.)*?(?P=quotes)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|#(?!!)(?P<text>.*)"""
)
_LINE_COMMENT: Final = re.compile(r"(?<![^\s@])(?:#+|//)(?P<text>[^\S\n].*|)$", re.MULTILINE)
# The beginning of a comment that a linter or helm-docs reads.
_DIRECTIVE: Final = re.compile(r"^ *(?:noqa: [\w, ]+- |shellcheck .*|@schema .*|(?:@default )?-- )", re.MULTILINE)
# Descriptions in tests/http/cases and payloads.
_CASE: Final = re.compile(r"^(?:what|proxies) = .*", re.MULTILINE)

_WITH_COMMENTS: Final = frozenset(("", ".go", ".proto", ".service", ".sh", ".toml", ".yaml", ".yml"))


def pieces(path: Path, root: Path) -> Iterator[Piece]:
    """Yield the prose of a file, by its suffix and first line; nothing if it is of no known kind.

    `path` is relative to `root`. Strings are messages, except in tests.
    """
    if path.suffix in {".md", ".gotmpl"}:
        yield from _markdown((root / path).read_text())
    elif path.suffix == ".tpl" or path.name == "NOTES.txt":
        yield from _rows((root / path).read_text(), "")
    elif path.suffix in _WITH_COMMENTS | {".py"} and path.name != "LICENSE":
        source = (root / path).read_text()
        if path.suffix == ".py" or source.startswith("#!/usr/bin/env python3\n"):
            yield from _python(source, with_messages=path.parts[0] != "tests")
        else:
            yield from _comments(source, _LINE_COMMENT)
            yield from (Piece(_line(source, case.start()), case[0], Kind.PHRASE) for case in _CASE.finditer(source))


def _python(source: str, *, with_messages: bool) -> Iterator[Piece]:
    docstrings = set()
    for node in ast.walk(ast.parse(source)):  # breadth first: a function comes before its docstring
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                text = ast.get_docstring(node)
                if text is not None and isinstance(node.body[0], ast.Expr):
                    docstrings.add(node.body[0].value)
                    kind = {ast.Module: Kind.MODULE, ast.ClassDef: Kind.TEXT}.get(type(node), Kind.FUNCTION)
                    yield Piece(node.body[0].lineno, _without_code(text), kind)
            case ast.Constant(value=str(text)) if with_messages and " " in text and node not in docstrings:
                yield Piece(node.lineno, " ".join(_without_code(text).split()), Kind.PHRASE)
    yield from _comments(source, _PYTHON_COMMENT)


def _markdown(source: str) -> Iterator[Piece]:
    text = _without_code(source)
    yield from _rows(text, "|")
    yield Piece(1, re.sub(r"^\|.*$", "", text, flags=re.MULTILINE))


def _rows(text: str, start: str) -> Iterator[Piece]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(start):
            yield Piece(number, line, Kind.PHRASE)


def _comments(source: str, pattern: re.Pattern[str]) -> Iterator[Piece]:
    """Yield blocks of comments: those on consecutive lines, or one that follows code."""
    block: list[str] = []
    first = last = last_column = -1
    for match in pattern.finditer(source):
        if match["text"] is None:
            continue
        start = source.rfind("\n", 0, match.start()) + 1
        line, column = _line(source, start), match.start() - start
        follows_code = bool(source[start : match.start()].strip())
        if block and (line, column) == (last + 1, last_column) and not follows_code:
            block.append(match["text"])
        else:
            if block:
                yield _block(first, block)
            block, first = [match["text"]], line
        last, last_column = line, -1 if follows_code else column
    if block:
        yield _block(first, block)


def _block(line: int, comments: list[str]) -> Piece:
    return Piece(line, _without_code(_DIRECTIVE.sub("", "\n".join(comments))))


def _line(source: str, position: int) -> int:
    return source.count("\n", 0, position) + 1


def _without_code(text: str) -> str:
    text = _BLOCKS_OF_CODE.sub(lambda match: "\n" * match[0].count("\n"), text)
    text = _INLINE_CODE.sub(lambda match: "X" + "\n" * match[0].count("\n"), text)
    return _LINK.sub(r"\1", text)

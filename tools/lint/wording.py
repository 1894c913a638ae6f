"""Wording rules of the project's prose: terms, sentences and docstrings.

They keep the texts in the ordinary English of the field, so that a search for the usual word finds them.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tools.commands import ROOT, CommandError
from tools.lint.prose import Kind, Piece, pieces

TERMS: Final[dict[str, str]] = tomllib.loads(Path(__file__).with_name("terms.toml").read_text())
LONGEST_SENTENCE: Final = 30  # words
LONGEST_TITLE: Final = 72  # characters in the first line of a module's docstring

_USE: Final = tuple(TERMS.values())
_TERM: Final = re.compile(
    r"\b(?:" + "|".join(f"({term})" for term in TERMS).replace(" ", r"\s+") + r")(?!\w)", re.IGNORECASE
)
# A sentence ends at its mark, at an empty line, and before an item of a list.
_END: Final = re.compile(r"(?<=[.?!])[)\"'*_]*\s+|\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)")
_WORD: Final = re.compile(r"\S*\w\S*")
# A clause as subject or condition, other than in a question or a heading.
_CLAUSE: Final = re.compile(r"(?:[-*]\s+)?(What|Where|Who)\b[^?]*\.\W*")
_VERB: Final = re.compile(r"(?:Ask|Give|Hold|Keep|Let|Say|Take|Tell)s?(?=\s)")


def check(files: Iterable[str]) -> None:
    """Check the prose of files. Raise `CommandError` with all findings."""
    found = [
        f"{file}:{line}: {message}"
        for file in files
        for piece in pieces(Path(file), ROOT)
        for line, message in findings(piece)
    ]
    if found:
        raise CommandError("\n".join(found))


def findings(piece: Piece) -> Iterator[tuple[int, str]]:
    """Yield the findings in a piece of prose: line number and message."""
    for match in _TERM.finditer(piece.text):
        term = " ".join(match[0].split())
        yield _line(piece, match.start()), f'"{term}": use {_USE[(match.lastindex or 0) - 1]}'
    if piece.kind is not Kind.PHRASE:
        for start, sentence in _sentences(piece.text):
            yield from ((_line(piece, start), message) for message in _mistakes(sentence))
    title = piece.text.partition("\n")[0]
    if piece.kind is Kind.FUNCTION and (verb := _VERB.match(title)):
        yield piece.line, f'"{verb[0]}" begins a docstring: use the verb of the field, such as Return, Parse, Send'
    if piece.kind is Kind.MODULE and len(title) > LONGEST_TITLE:
        yield piece.line, f"first line of {len(title)} characters: name the thing in at most {LONGEST_TITLE}"


def _mistakes(sentence: str) -> Iterator[str]:
    words = _WORD.findall(sentence)
    if len(words) > LONGEST_SENTENCE:
        yield f"sentence of {len(words)} words, at most {LONGEST_SENTENCE}: {' '.join(words[:5])} ..."
    if clause := _CLAUSE.fullmatch(sentence):
        yield f'"{clause[1]}" begins a sentence: name the noun, or begin a condition with "If"'


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for end in (*(match.span() for match in _END.finditer(text)), (len(text), len(text))):
        sentence = text[start : end[0]]
        yield start + len(sentence) - len(sentence.lstrip()), sentence.strip()
        start = end[1]


def _line(piece: Piece, position: int) -> int:
    return piece.line + piece.text.count("\n", 0, position)

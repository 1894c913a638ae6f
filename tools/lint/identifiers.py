"""Words to avoid in identifiers: participles that name no thing.

Only definitions are checked, since a use of another project's name can't be changed.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tools.commands import ROOT, CommandError

FOLDERS: Final = ("app",)
# A name is a noun for a value, a verb for an action; that of a boolean begins with `is` or `has`.
WORDS: Final = frozenset(("asked", "begun", "given", "held", "kept", "most", "rest", "said", "told", "wish", "wishes"))
# The name of a test is a sentence, in which the other words have their usual meaning.
WORDS_IN_TESTS: Final = frozenset(("asked", "told", "wish", "wishes"))
_PART: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def check(files: Iterable[str]) -> None:
    """Check the identifiers that Python files of the folders define. Raise `CommandError` with all findings."""
    found = [
        f'{file}:{line}: "{word}" in the identifier {name}: name the thing'
        for file in files
        if file.endswith(".py") and Path(file).parts[0] in FOLDERS
        for line, name, word in findings((ROOT / file).read_text())
    ]
    if found:
        raise CommandError("\n".join(found))


def findings(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, identifier and the word to avoid, for each definition that has one."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
                | ast.arg(arg=name)
                | ast.alias(asname=str(name))
                | ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(attr=name, ctx=ast.Store())
                | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                avoided = WORDS_IN_TESTS if name.startswith("test_") else WORDS
                words = (part.lower() for part in _PART.findall(name))
                yield from ((node.lineno, name, word) for word in words if word in avoided)

"""Wording checks: prose in each kind of file, terms, sentences, names."""

import re
from pathlib import Path

import pytest

from tools.commands import CommandError
from tools.lint import identifiers, wording
from tools.lint.__main__ import tracked
from tools.lint.prose import Kind, Piece, pieces

THIRTY = "one two three four five six seven eight nine ten " * 3


def found(name: str, source: str, folder: Path) -> list[str]:
    """Return the findings in a file of this name and content, as `LINE: MESSAGE`."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return [f"{line}: {message}" for piece in pieces(Path(name), folder) for line, message in wording.findings(piece)]


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("It is read anew.", "anew"),
        ("The answer is 404.", "answer"),
        ("It answers with 404.", "answers"),
        ("Each message is echoed as it came.", "as it came"),
        ("A status that is asked for.", "asked for"),
        ("The client is who asks.", "who asks"),
        ("Its bounds are settings.", "bounds"),
        ("Each has a bound.", "a bound"),
        ("A value that can't be, such as -1.", "can't be"),
        ("A length that is none.", "that is none"),
        ("The carrier closes it.", "carrier"),
        ("The worker ends in order.", "ends in order"),
        ("The control is granted.", "granted"),
        ("The measured size is held against the limit.", "held against"),
        ("Hold the response\nagainst the request.", "Hold the response against"),
        ("HTTP/2 in clear.", "in clear"),
        ("The capability is taken away.", "taken away"),
        ("Unknown flags are passed over.", "passed over"),
        ("The request is sent away.", "sent away"),
        ("Close it if the time is over.", "time is over"),
        ("Every mistake is told.", "told"),
        ("A format for who names no type.", "for who"),
        ("Return what came.", "what came"),
        ("Each wish is checked.", "wish"),
        ("The size is held\n  against it.", "held against"),
    ],
)
def test_terms_to_avoid_are_found(text: str, term: str) -> None:
    """The message has the text, and the terms to use."""
    ((_, message),) = wording.findings(Piece(1, text))
    assert message.startswith(f'"{term}": use ')
    assert message.split(": use ", 1)[1] in wording.TERMS.values()


@pytest.mark.parametrize(
    "text",
    [
        "Requests are answered in order.",
        "If there is none, return None.",
        "Not a bound method, and bound to a port.",
        "The name can't be resolved.",
        "The client for whom it is; clients who connect.",
        "Connections are kept, and held open.",
        "Compare it with the limit; a test against nginx.",
        "The untold and the retold.",
    ],
)
def test_usual_english_has_no_finding(text: str) -> None:
    """Only terms that are never right are avoided."""
    assert list(wording.findings(Piece(1, text))) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{THIRTY}.", []),
        (f"{THIRTY}more.", [1]),
        (f"Short.\n{THIRTY}more. Short.", [2]),
        (f"{THIRTY}\n- more", []),
        (f"{THIRTY}\n1. more", []),
        (f"{THIRTY}\n\nmore", []),
        (f"A list:\n\n- short\n- {THIRTY}more", [4]),
        (f'{THIRTY.strip()}." More.', []),
        (f"{THIRTY}- / = more.", [1]),
        (f"{THIRTY}- / =.", []),
    ],
)
def test_sentences_have_at_most_thirty_words(text: str, lines: list[int]) -> None:
    """Paragraphs and items of a list end a sentence; signs between words are not counted."""
    assert [line for line, _ in wording.findings(Piece(1, text))] == lines


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Where no type is accepted, it is 406.", "Where"),
        ("It is closed. Who connects later gets 503.", "Who"),
        ("- What follows is the payload.", "What"),
        ("What it speaks", ""),
        ("What is a control? It changes the response.", ""),
        ("Whatever it is, it is echoed.", ""),
    ],
)
def test_no_clause_begins_a_sentence(text: str, word: str) -> None:
    """Headings and questions may begin so."""
    expected = [f'"{word}" begins a sentence: name the noun, or begin a condition with "If"'] if word else []
    assert [message for _, message in wording.findings(Piece(1, text))] == expected


@pytest.mark.parametrize(
    ("kind", "text", "finding"),
    [
        (Kind.FUNCTION, "Give the number of bytes.", '"Give"'),
        (Kind.FUNCTION, "Takes the number of bytes.", '"Takes"'),
        (Kind.FUNCTION, "Keep-alive is a header.", ""),
        (Kind.FUNCTION, "Given a number, return it.", ""),
        (Kind.FUNCTION, "Return what others give.", ""),
        (Kind.TEXT, "Give me a comment.", ""),
        (Kind.MODULE, f"{'x' * 72}\n\nMore.", ""),
        (Kind.MODULE, f"{'x' * 73}\n\nMore.", "first line of 73 characters"),
        (Kind.TEXT, f"{'x' * 73}\n\nMore.", ""),
        (Kind.PHRASE, f"{THIRTY}more.", ""),
    ],
)
def test_docstrings_begin_with_a_verb_of_the_field_and_modules_with_a_title(
    kind: Kind, text: str, finding: str
) -> None:
    """The first word is checked in functions, the length of the first line in modules; phrases are no sentences."""
    messages = [message for _, message in wording.findings(Piece(1, text, kind))]
    assert [message.startswith(finding) for message in messages] == [True] * bool(finding)


PYTHON = '''#!/usr/bin/env python3
"""The answer of a module."""

import os  # answer


class Answer:
    """An answer."""

    def answer(self) -> str:
        """Return.

        The answer, but not `answer`, or:

            answer = "code"
        """
        answer = f"# an {self} answer"  # noqa: S101 - an answer
        return "answer" + answer


# Two lines
# of an answer.
# Another answer.
'''


@pytest.mark.parametrize(
    ("name", "source", "lines"),
    [
        ("app/a.py", PYTHON, [2, 8, 13, 17, 4, 17, 22, 23]),
        ("tests/a.py", PYTHON, [2, 8, 13, 4, 17, 22, 23]),
        ("node/pack", PYTHON, [2, 8, 13, 17, 4, 17, 22, 23]),
        ("tests/b.py", "x = '''\n# answer\n''' # answer\n", [3]),
        ("a.md", "An answer\nin a `answer`, `an\nanswer`.\n\n    answer\n\nAn [answer](answer.md)\n", [1, 7]),
        ("a.md", "```\nanswer\n```\n\n<!-- answer -->\nhttps://a.test/answer\n", []),
        ("a.md", "| a | b |\n| --- | --- |\n| `answer` | answer |\n", [3]),
        ("a.md.gotmpl", "An answer.\n", [1]),
        ("values.yaml", "# @schema {answer: 1}\n# -- An answer\nanswer: 1 # an answer\nb: 'c#answer'\n", [2, 3]),
        ("Makefile", "help: ## list the answers\n\t@# An answer\n\t@echo 'answer'\n", [1, 2]),
        ("Dockerfile", "FROM answer\n# An answer\nRUN answer\n", [2]),
        ("run.sh", "#!/bin/bash\n# An answer\nanswer ${a#answer}\n", [2]),
        ("a.go", "// An answer\nanswer() // answer\n", [1, 2]),
        ("a.toml", '# An answer\nwhat = "an answer"\nanswer = "answer"\n', [1, 2]),
        ("_a.tpl", "{{/* An answer */}}\n{{ .Values.answers }}\nan answer\n", [1, 2, 3]),
        ("LICENSE", "# answer", []),
        ("a.json", '"answer"', []),
        ("requirements.txt", "# answer", []),
    ],
)
def test_prose_is_found_in_each_kind_of_file(name: str, source: str, lines: list[int], tmp_path: Path) -> None:
    """Code is not prose, nor are the strings of tests; the lines are those of the file."""
    assert [int(each.partition(":")[0]) for each in found(name, source, tmp_path)] == lines


@pytest.mark.parametrize(
    ("name", "source", "count"),
    [
        ("a.py", f'"""Title.\n\n{THIRTY}more.\n"""\n', 1),
        ("a.py", f"# {THIRTY}more.\n", 1),
        ("a.py", f"# {THIRTY}\n# more.\n", 1),
        ("a.py", f"x = 1  # {THIRTY}\ny = 2  # more.\n", 0),
        ("a.py", f"if x:\n    y()\n    # {THIRTY}\n# more.\n", 0),
        ("app/a.py", f"x = '{THIRTY}more.'\n", 0),
        ("a.md", f"{THIRTY}more.\n", 1),
        ("a.md", f"| {THIRTY}more. |\n", 0),
        ("a.md", f"{THIRTY}`more more`.\n", 1),
        ("a.md", f"{THIRTY}\n\n    more\n", 0),
        ("values.yaml", f"# -- {THIRTY}\n# more.\n", 1),
    ],
)
def test_sentences_span_lines_of_one_comment(name: str, source: str, count: int, tmp_path: Path) -> None:
    """Comments after code, or of another indentation, are separate; inline code is one word."""
    assert len(found(name, source, tmp_path)) == count


def test_the_check_names_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All findings of all files are reported together."""
    monkeypatch.setattr(wording, "ROOT", tmp_path)
    (tmp_path / "a.md").write_text("Good.\n\nAn answer, anew.\n")
    (tmp_path / "b.md").write_text("Told.\n")
    with pytest.raises(CommandError, match=r'^a\.md:3: "answer": .*\na\.md:3: "anew": .*\nb\.md:1: "Told": .*$'):
        wording.check(["a.md", "b.md"])
    wording.check([])


def test_terms_have_no_groups_of_their_own() -> None:
    """The number of the group that matches selects the term to use."""
    assert [term for term in wording.TERMS if re.compile(term).groups] == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("told = 1", ["told"]),
        ("_is_told, kept_ones = 1, 2", ["_is_told", "kept_ones"]),
        ("MOST: int = 1", ["MOST"]),
        ("self.held = 1", ["held"]),
        ("def f(given, *rest, **asked): ...", ["given", "rest", "asked"]),
        ("async def said(): ...", ["said"]),
        ("class WishList: ...", ["WishList"]),
        ("class HTTPWish: ...", ["HTTPWish"]),
        ("for begun in (): ...", ["begun"]),
        ("import a as told", ["told"]),
        ("try: ...\nexcept OSError as told: ...", ["told"]),
        ("match a:\n    case [*rest]: ...\n    case B() as kept: ...", ["rest", "kept"]),
        ("def test_what_is_told(): ...", ["test_what_is_told"]),
        ("def test_the_most_is_kept(): ...", []),
        ("from hypothesis import given", []),
        ("counts.most_common(given=told.rest)", []),
        ("almost = restart = wisher = 1", []),
    ],
)
def test_identifiers_to_avoid_are_found_where_they_are_defined(source: str, names: list[str]) -> None:
    """Parts of a name are found, other projects' names and parts of words are not."""
    assert sorted(name for _, name, _ in identifiers.findings(source)) == sorted(names)


def test_the_check_of_identifiers_covers_its_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other folders and files are not checked."""
    monkeypatch.setattr(identifiers, "ROOT", tmp_path)
    for name in ("app/a.py", "helm/a.py", "app/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\ntold = 1\n")
    with pytest.raises(CommandError, match=r'^app/a\.py:2: "told" in the identifier told: name the thing$'):
        identifiers.check(["app/a.py", "helm/a.py", "app/a.txt"])
    identifiers.check(["helm/a.py"])


def test_the_folders_of_identifiers_exist() -> None:
    """A renamed folder would not be checked any more."""
    assert set(identifiers.FOLDERS) <= {Path(name).parts[0] for name in tracked("*.py")}

"""promtool, which judges rules and metrics as Prometheus reads them.

https://prometheus.io/docs/prometheus/latest/command-line/promtool/
"""

import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.http.programs import missing
from tools.commands import CommandError, run
from tools.toolchain.__main__ import TOOLS, ToolError, find

_SECONDS = 60
_OF_LINTS = 3  # the exit code when what is judged can be read, and could be better

Groups = Sequence[Mapping[str, Any]]  # as `groups` in a file of rules


def check_metrics(text: str) -> list[str]:
    """Judge what an endpoint of metrics answers, in Prometheus' text format.

    Gives what could be better by the conventions of names and units, a line each. Raises `CommandError` when it can't
    be read.
    """
    command: list[str | Path] = [_promtool(), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode not in (0, _OF_LINTS):
        raise CommandError(f"promtool can't read the metrics: {done.stdout}{done.stderr}")
    return (done.stdout + done.stderr).splitlines()


def check_rules(groups: Groups, folder: Path) -> None:
    """Judge rules, their PromQL and the templates in their texts. Raises `CommandError` for what is wrong.

    Needs a folder to write to.
    """
    run(
        _promtool(), "check", "rules", "--lint=all", "--lint-fatal", _written({"groups": groups}, folder / "rules.yaml")
    )


def try_rules(groups: Groups, tests: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, list[str]]:
    """Try rules on series: give what is not as it was to be, for each test by its name; nothing where all is.

    The tests are as in https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/, each with a name
    of its own. Raises `CommandError` when promtool does not judge each of them.
    """
    rules = _written({"groups": groups}, folder / "rules.yaml")
    cases = _written({"rule_files": [str(rules)], "tests": tests}, folder / "tests.yaml")
    results = folder / "results.xml"
    command: list[str | Path] = [_promtool(), "test", "rules", f"--junit={results}", cases]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    judged = ET.parse(results).iter("testcase") if results.exists() else ()  # noqa: S314 - promtool's own
    found = {each.attrib["name"]: ["".join(failure.itertext()) for failure in each] for each in judged}
    names = [test["name"] for test in tests]
    if list(found) != names or bool(done.returncode) != any(found.values()):
        raise CommandError(f"promtool did not judge each of {names}: {done.stdout}{done.stderr}")
    return found


def _written(content: Mapping[str, Any], file: Path) -> Path:
    file.write_text(yaml.safe_dump(content, sort_keys=False, width=1000))
    return file


@cache
def _promtool() -> Path:
    try:
        return find(TOOLS["promtool"], os.environ)
    except ToolError as error:
        missing(str(error))

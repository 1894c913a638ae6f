"""promtool: checks of rules and metrics as Prometheus parses them.

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
_OF_LINTS = 3  # the exit code if the input is valid, and has lint findings

Groups = Sequence[Mapping[str, Any]]  # as `groups` in a file of rules


def check_metrics(text: str) -> list[str]:
    """Check the response of a metrics endpoint, in Prometheus' text format.

    Return the lint findings on names and units, a line each. Raise `CommandError` if it can't be parsed.
    """
    command: list[str | Path] = [_promtool(), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode not in (0, _OF_LINTS):
        raise CommandError(f"promtool can't read the metrics: {done.stdout}{done.stderr}")
    return (done.stdout + done.stderr).splitlines()


def check_rules(groups: Groups, folder: Path) -> None:
    """Check rules, their PromQL and the templates in their texts. Raise `CommandError` if they are invalid.

    A writable folder is required.
    """
    run(
        _promtool(), "check", "rules", "--lint=all", "--lint-fatal", _written({"groups": groups}, folder / "rules.yaml")
    )


def try_rules(groups: Groups, tests: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, list[str]]:
    """Test rules on series: return the failures of each test by its name; none if all pass.

    The tests are as in https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/, each with a name
    of its own. Raise `CommandError` if promtool does not report a result for each of them.
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

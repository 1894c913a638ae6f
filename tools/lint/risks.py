"""Security checks of manifests and the Dockerfile by checkov.

A finding of checkov is a failure, or waived here for a reason. The waivers are a table of ours, not checkov's list of
checks to skip: each is for certain kinds alone, and an unused one is a failure too.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.commands import ROOT, CommandError, run

# A virtual environment of its own: beside the dev group's packages, checkov would be resolved to a version of years
# ago.
CHECKOV = ROOT / ".tools" / "checkov" / "bin" / "checkov"
_SECONDS = 300


@dataclass(frozen=True)
class Waiver:
    """A check of checkov's that is waived for objects of these kinds (none: for all), and why."""

    check: str
    kinds: frozenset[str]
    reason: str

    def covers(self, finding: "Finding") -> bool:
        """Return whether it applies to this finding."""
        return finding.check == self.check and (not self.kinds or finding.kind in self.kinds)


_PODS = frozenset({"Deployment", "Pod"})
_ALL: frozenset[str] = frozenset()
_TESTS = frozenset({"Pod"})  # the only pods without a controller are those of `helm test`

WAIVERS = (
    Waiver(
        "CKV_DOCKER_7",
        frozenset({"Dockerfile"}),
        "The base is an argument of the build, whose default has a tag: checkov reads only the line that uses it.",
    ),
    Waiver(
        "CKV_K8S_21",
        _ALL,
        "No object names its namespace: who installs says it, to helm or kubectl. checkov takes that for `default`.",
    ),
    Waiver(
        "CKV_K8S_11",
        _PODS,
        "A CPU limit would show up as latency that no client requested; a memory limit is set, and requests for both.",
    ),
    Waiver(
        "CKV_K8S_15",
        _PODS,
        "IfNotPresent: the tag of a release never moves, and an image that was loaded onto a node is used as it is.",
    ),
    Waiver(
        "CKV_K8S_43",
        _PODS,
        "The digest of an image that people build and push themselves is not known here: they give it.",
    ),
    Waiver("CKV_K8S_8", _TESTS, "A pod that runs once, with a deadline, has nothing to be restarted for."),
    Waiver("CKV_K8S_9", _TESTS, "A pod that runs once serves nobody: there is nothing to be ready for."),
    Waiver(
        "CKV2_K8S_6",
        _PODS,
        "Whether there is a NetworkPolicy, and whom it lets in, is a decision of the installation, by a value.",
    ),
)


@dataclass(frozen=True)
class Finding:
    """A check that failed for an object, or for a line of the Dockerfile."""

    check: str
    name: str
    kind: str
    resource: str
    file: str

    def __str__(self) -> str:
        """Return the line for people."""
        return f"{self.file}: {self.resource}: {self.name} ({self.check})"


def judge(files: Sequence[Path]) -> None:
    """Check files. Raise `CommandError` with each finding, and each unused waiver."""
    if not CHECKOV.exists():
        raise CommandError(f"{CHECKOV.relative_to(ROOT)} is not there: make lint installs it")
    # With --soft-fail, because findings are in the report, and the exit code only states whether there is a report.
    options = ("--config-file", ROOT / ".checkov.yaml", "--soft-fail", "--output", "json")
    told = json.loads(run(CHECKOV, *options, "--file", *files, deadline=_SECONDS))
    reports = told if isinstance(told, list) else [told]
    mistakes = list(verdict(reports, WAIVERS, {str(file) for file in files}))
    if mistakes:
        raise CommandError("\n".join(mistakes))


def verdict(reports: Iterable[dict[str, Any]], waivers: Sequence[Waiver], files: Iterable[str]) -> Iterator[str]:
    """Yield the failures in checkov's reports: findings without a waiver, unused waivers, unchecked files."""
    found: set[Finding] = set()
    judged: set[str] = set()
    for report in reports:
        # A report on nothing has no results at all.
        results = report.get("results", {})
        yield from (f"{file}: checkov can't read it" for file in results.get("parsing_errors", ()))
        judged |= {each["file_abs_path"] for key in ("passed_checks", "failed_checks") for each in results.get(key, ())}
        found |= {_finding(report["check_type"], each) for each in results.get("failed_checks", ())}
    used = {waiver: set(filter(waiver.covers, found)) for waiver in waivers}
    yield from (f"{file}: checkov has judged nothing in it" for file in sorted(set(files) - judged))
    yield from sorted(map(str, found.difference(*used.values())))
    yield from (
        f"nothing needs the waiver of {waiver.check} any more" for waiver, covered in used.items() if not covered
    )


def _finding(judged_as: str, told: Mapping[str, Any]) -> Finding:
    file, resource = Path(told["file_abs_path"]).name, told["resource"]
    if judged_as == "dockerfile":  # an instruction, after the path of the file
        kind, resource = "Dockerfile", resource.rpartition(".")[2]
    else:  # Kind.namespace.name
        kind = resource.partition(".")[0]
    return Finding(told["check_id"], told["check_name"], kind, resource, file)

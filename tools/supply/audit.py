"""`python -m tools.supply.audit BILL` asks what is known against the locked packages, and against what is in the image.

pip-audit asks about each lock file, a scanner about the bill of materials where `make sbom` has written one. Both ask
services of others. Where these can't be reached, or know nothing of what they are asked about, that is said, and never
taken for "nothing is known against it": the exit code is 0 only when all was asked and nothing found, 1 when something
was found, 3 when something could not be asked.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from tools.commands import ROOT, say_to_stderr
from tools.supply.locks import lock_files

_LONG = 150  # characters of what others say
_PATIENCE = 600  # seconds for one question, of a hundred packages


class Verdict(IntEnum):
    """What became of a question; the number is the exit code."""

    CLEAN = 0
    FOUND = 1
    NOT_ASKED = 3


class Answer(NamedTuple):
    """What became of a question about something, and what there is to say of it."""

    verdict: Verdict
    what: str
    said: str


# The services that pip-audit can ask: where one does not know the packages, the next may.
_SERVICES = ("pypi", "osv")
# What scans a bill of materials, the first that is there: how it is asked to end with a code of its own when it finds
# something, that code, and how a bill is named. What nobody has mended yet is left out: no other base would be better.
_SCANNERS: Mapping[str, tuple[Sequence[str], int, str]] = {
    "trivy": (("sbom", "--quiet", "--ignore-unfixed", "--exit-code", "9"), 9, "{}"),
    "grype": (("--quiet", "--only-fixed", "--fail-on", "negligible"), 2, "sbom:{}"),
}


def of_locks(files: Sequence[Path], environ: Mapping[str, str]) -> Iterator[Answer]:
    """Ask pip-audit about lock files, by the first service that knows what is in them."""
    for file in files:
        answers: list[Answer] = []
        for service in _SERVICES:
            command = [str(Path(sys.executable).with_name("pip-audit")), "--vulnerability-service", service]
            options = ["--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json", "--timeout=15"]
            answers.append(of_report(file.name, service, *_run([*command, *options, f"--requirement={file}"], environ)))
            if answers[-1].verdict is not Verdict.NOT_ASKED:
                break
        answered = answers[-1].verdict is not Verdict.NOT_ASKED
        yield (
            answers[-1] if answered else Answer(Verdict.NOT_ASKED, file.name, "; ".join(each.said for each in answers))
        )


def of_report(what: str, service: str, output: str, errors: str) -> Answer:
    """Judge what pip-audit has said. That it skipped a package is no answer about it, whatever its exit code is."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        return Answer(Verdict.NOT_ASKED, what, f"{service} can't be asked ({_cause(errors)})")
    found = [
        f"{each['name']} {each['version']}: {known['id']}, mended in {', '.join(known['fix_versions']) or 'no version'}"
        for each in packages
        for known in each.get("vulns", ())
    ]
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    if found:
        return Answer(Verdict.FOUND, what, "\n  ".join([f"{len(found)} known by {service}", *found]))
    if skipped or not packages:
        return Answer(Verdict.NOT_ASKED, what, f"{service} knows nothing of {len(skipped)} of {len(packages)} packages")
    return Answer(Verdict.CLEAN, what, f"nothing is known by {service} against {len(packages)} packages")


def of_bill(bill: Path, environ: Mapping[str, str]) -> Answer:
    """Ask a scanner that is there about what the image has, by its bill of materials."""
    if not bill.exists():
        return Answer(Verdict.NOT_ASKED, "image", f"there is no {bill.relative_to(ROOT)}: make sbom writes it")
    for name, (arguments, found, form) in _SCANNERS.items():
        scanner = shutil.which(name, path=environ.get("PATH"))
        if scanner:
            return of_scan(name, found, _done([scanner, *arguments, form.format(bill)], environ))
    return Answer(Verdict.NOT_ASKED, "image", f"none of {', '.join(_SCANNERS)} is on PATH")


def of_scan(name: str, found: int, done: subprocess.CompletedProcess[str]) -> Answer:
    """Judge what a scanner has said, which ends with the code `found` when it has found something."""
    if done.returncode == 0:
        return Answer(Verdict.CLEAN, "image", f"nothing is known by {name} against what is in it")
    if done.returncode == found:
        return Answer(Verdict.FOUND, "image", f"known by {name}\n{done.stdout.strip()}")
    return Answer(Verdict.NOT_ASKED, "image", f"{name} can't ask (code {done.returncode}: {_cause(done.stderr)})")


def _cause(errors: str) -> str:
    """Give the end of what a program said: what was at the bottom of it stands there."""
    lines = errors.strip().splitlines() or ["it said nothing"]
    return lines[-1] if len(lines[-1]) <= _LONG else f"... {lines[-1][-_LONG:]}"


def _run(command: Sequence[str], environ: Mapping[str, str]) -> tuple[str, str]:
    done = _done(command, environ)
    return done.stdout, done.stderr


def _done(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, env=dict(environ), capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, "", f"no answer in {_PATIENCE} s")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask about the bill named and all lock files, tell each answer, give the exit code."""
    if len(arguments) != 1:
        say_to_stderr("usage: python -m tools.supply.audit BILL")
        return 2
    (bill,) = arguments
    answers = []
    for answer in (*of_locks(lock_files(), environ), of_bill(ROOT / bill, environ)):
        print(f"{answer.what}: {answer.verdict.name.replace('_', ' ').lower()}: {answer.said}", flush=True)  # noqa: T201
        answers.append(answer.verdict)
    code = Verdict.FOUND if Verdict.FOUND in answers else max(answers)
    if code is Verdict.NOT_ASKED:
        many = answers.count(Verdict.NOT_ASKED)
        print(f"NOT AUDITED: {many} of {len(answers)} could not be asked about; this is no proof of anything")  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

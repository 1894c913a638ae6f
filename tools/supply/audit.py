"""`python -m tools.supply.audit BILL`: look up known vulnerabilities.

They are those of the locked packages, and of the image's. pip-audit asks about each lock file, a scanner about the bill
of materials if `make sbom` has written one. Both query external services. If these can't be reached, or don't know a
package, that is reported, and never treated as "no known vulnerabilities". The exit code is 0 only if everything was
queried and nothing found, 1 if something was found, 3 if something could not be queried.
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

_LONG = 150  # characters of other programs' messages
_PATIENCE = 600  # seconds for one query, of a hundred packages


class Verdict(IntEnum):
    """The result of a query; the number is the exit code."""

    CLEAN = 0
    FOUND = 1
    NOT_ASKED = 3


class Answer(NamedTuple):
    """The result of a query about a subject, and its message."""

    verdict: Verdict
    what: str
    said: str


# The services that pip-audit can query: if one does not know the packages, the next may.
_SERVICES = ("pypi", "osv")
# Scanners of a bill of materials; the first that is installed is used. For each: the arguments that make it exit with a
# code of its own when it finds something, that code, and the format of a bill's name. Vulnerabilities without a fix are
# omitted: no other base would be better.
_SCANNERS: Mapping[str, tuple[Sequence[str], int, str]] = {
    "trivy": (("sbom", "--quiet", "--ignore-unfixed", "--exit-code", "9"), 9, "{}"),
    "grype": (("--quiet", "--only-fixed", "--fail-on", "negligible"), 2, "sbom:{}"),
}


def of_locks(files: Sequence[Path], environ: Mapping[str, str]) -> Iterator[Answer]:
    """Run pip-audit on lock files, with the first service that knows their packages."""
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
    """Return the verdict of pip-audit's report. A skipped package is not a result for it, whatever the exit code is."""
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
    """Run an installed scanner on the image's packages, by its bill of materials."""
    if not bill.exists():
        return Answer(Verdict.NOT_ASKED, "image", f"there is no {bill.relative_to(ROOT)}: make sbom writes it")
    for name, (arguments, found, form) in _SCANNERS.items():
        scanner = shutil.which(name, path=environ.get("PATH"))
        if scanner:
            return of_scan(name, found, _done([scanner, *arguments, form.format(bill)], environ))
    return Answer(Verdict.NOT_ASKED, "image", f"none of {', '.join(_SCANNERS)} is on PATH")


def of_scan(name: str, found: int, done: subprocess.CompletedProcess[str]) -> Answer:
    """Return the verdict of a scanner's report; its exit code is `found` if it has found something."""
    if done.returncode == 0:
        return Answer(Verdict.CLEAN, "image", f"nothing is known by {name} against what is in it")
    if done.returncode == found:
        return Answer(Verdict.FOUND, "image", f"known by {name}\n{done.stdout.strip()}")
    return Answer(Verdict.NOT_ASKED, "image", f"{name} can't ask (code {done.returncode}: {_cause(done.stderr)})")


def _cause(errors: str) -> str:
    """Return the end of a program's output, which has the root cause."""
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
        return subprocess.CompletedProcess(command, -1, "", f"no response in {_PATIENCE} s")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Audit the named bill and all lock files, print each result, return the exit code."""
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

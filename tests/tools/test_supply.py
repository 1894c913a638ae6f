"""Supply chain: locked hashes, licences, bill of materials, audit."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.commands import ROOT
from tools.supply import audit, licences, sbom
from tools.supply.audit import Verdict
from tools.supply.licences import LicenceError
from tools.supply.locks import Locked, LockError, lock_files, read
from tools.toolchain.__main__ import HERE, TOOLS


@pytest.mark.parametrize("file", lock_files(), ids=lambda file: file.name)
def test_every_locked_package_has_a_version_and_hashes(file: Path) -> None:
    """That includes build dependencies, and packages that are only used for checks."""
    assert read(file.read_text())


@pytest.mark.parametrize(
    "line", ["a>=1", "a==1", "a @ file:///a", "--index-url https://example.test", "a==1 --hash=md5:00"]
)
def test_what_is_not_held_to_a_hash_is_found(line: str) -> None:
    """Everything that allows a package without a hash is reported, with its line."""
    with pytest.raises(LockError, match=re.escape(line)):
        read(f"# a comment\n{line}\n")


def test_every_install_asks_for_the_hashes() -> None:
    """Make and the image verify hashes on every install, because a lock without verification has no effect."""
    for name in ("Makefile", "Dockerfile"):
        text = (ROOT / name).read_text().replace("\\\n", " ")
        installs = re.findall(r"(?i)\bpip\b[^|&;\n]*?\s(install\s[^|&;\n]*)", text)
        assert len(installs) > 1
        assert [each for each in installs if "--require-hashes" not in each] == []


def test_every_program_that_go_builds_is_of_one_version() -> None:
    """Go verifies it by its checksum database or a go.sum: none is built from a branch, or from the latest version."""
    version = re.compile(r"v\d+\.\d+\.\d+(\+incompatible)?")
    assert [tool.name for tool in TOOLS.values() if not version.fullmatch(tool.version)] == []
    # A module without requirements needs no checksums.
    modules = [each for each in HERE.glob("*/go.mod") if "require" in each.read_text()]
    assert modules
    assert [each for each in modules if not each.with_name("go.sum").exists()] == []
    assert not re.search(r"GONOSUMDB|GONOSUMCHECK|GOFLAGS=-insecure|GOSUMDB=off", (ROOT / ".ci/run").read_text())


def test_an_image_can_be_built_of_each_lock_file_that_it_may_have() -> None:
    """Docker receives those that the Dockerfile names: files that .dockerignore excludes can't be copied."""
    named = re.findall(r"requirements(?:/[a-z]+)?\.txt", (ROOT / "Dockerfile").read_text())
    handed = (ROOT / ".dockerignore").read_text().splitlines()
    assert {"requirements.txt", "requirements/all.txt"} < set(named)
    assert [name for name in named if f"!{name}" not in handed] == []


def test_images_of_others_that_run_tests_are_named_by_digest() -> None:
    """That is the cluster's node; there is no forge pipeline whose actions would need digests."""
    supply = (ROOT / "tests/e2e/supply.py").read_text()
    assert re.search(r'NODE_IMAGE = "kindest/node:v[0-9.]+@sha256:[0-9a-f]{64}"', supply)
    assert not (ROOT / ".github").exists()


def test_the_image_says_what_it_was_built_from() -> None:
    """A label has the digest that make was given or has looked up."""
    dockerfile, makefile = ((ROOT / name).read_text() for name in ("Dockerfile", "Makefile"))
    assert 'org.opencontainers.image.base.digest="${base_digest}"' in dockerfile
    assert "--build-arg base_image=$$base --build-arg base_digest=$$digest" in makefile


def test_the_list_of_licences_is_that_of_the_lock_files() -> None:
    """`make format` writes it; each licence is allowed, or it could not be written."""
    assert licences.FILE.read_text() == licences.document()


def test_the_list_of_licences_has_every_extra() -> None:
    """Every lock file is covered: the one of all extras has no package that is not listed."""
    everything = read((ROOT / "requirements/all.txt").read_text())
    assert everything.keys() == licences.runtime().keys()


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [("MIT", True), ("Apache-2.0 OR BSD-3-Clause", True), ("MIT AND GPL-3.0-only", False), ("LGPL-2.1-only", False)],
)
def test_a_licence_is_allowed_by_its_name(expression: str, *, allowed: bool) -> None:
    """All licences in an expression must be allowed."""
    assert licences.is_allowed(expression) is allowed


def test_a_package_that_says_nothing_of_its_licence_is_refused() -> None:
    """The error has its name, and what it does state."""
    with pytest.raises(LicenceError, match=r"^odd: no licence that is understood in \['as you like'\]"):
        licences.of("odd", {"license": "as you like", "classifier": ["Topic :: Internet"]})
    with pytest.raises(LicenceError):
        licences.is_allowed("as you like")


IMAGE: dict[str, Any] = {
    "Id": "sha256:" + "a" * 64,
    "Created": "2026-11-24T14:00:00Z",
    "RootFS": {"Layers": ["sha256:" + "b" * 64]},
    "Config": {
        "Labels": {
            "org.opencontainers.image.version": "0.1.0",
            "org.opencontainers.image.created": "2026-11-24T13:00:00Z",
            "other": "left out",
        }
    },
}
INSIDE: dict[str, Any] = {
    "python": "3.13.5",
    "release": {"ID": "debian", "VERSION_ID": "13", "DEBIAN_VERSION_FULL": "13.2"},
    "distributions": [
        {"name": "PyYAML", "version": "6.0.4", "license": "MIT"},
        {"name": "pip", "version": "25.0", "license": "MIT"},
    ],
    "debian": [
        {"name": "libc6", "version": "2.41-12", "architecture": "amd64", "source": "glibc", "licences": ["LGPL-2.1+"]}
    ],
}
LOCKED = {"pyyaml": Locked("pyyaml", "6.0.4", ("c" * 64, "d" * 64))}


def test_a_bill_names_every_part() -> None:
    """Parts have package URL and version; the service's also have their lock's hashes and an SPDX licence."""
    bill = json.loads(sbom.bill(IMAGE, INSIDE, LOCKED))
    system, *others = sorted(bill["components"], key=lambda each: each["type"] != "operating-system")
    assert (system["name"], system["version"]) == ("debian", "13.2"), "by which a scanner knows what is mended"
    parts = {each["purl"]: each for each in others}
    assert set(parts) == {
        "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13",
        "pkg:generic/python@3.13.5",
        "pkg:pypi/pip@25.0",
        "pkg:pypi/pyyaml@6.0.4",
    }
    (archives,) = parts["pkg:pypi/pyyaml@6.0.4"]["externalReferences"]
    assert [each["content"] for each in archives["hashes"]] == ["c" * 64, "d" * 64]
    assert parts["pkg:pypi/pyyaml@6.0.4"]["licenses"] == [{"expression": "MIT"}]
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert bill["metadata"]["timestamp"] == "2026-11-24T13:00:00+00:00"
    (whole,) = (each for each in bill["dependencies"] if each["ref"] == "image")
    assert len(whole["dependsOn"]) == len(parts) + 1


def test_a_bill_of_one_image_is_the_same_each_time() -> None:
    """The order in which its parts are found does not matter; another image has another bill."""
    backwards = INSIDE | {"distributions": INSIDE["distributions"][::-1]}
    first = sbom.bill(IMAGE, INSIDE, LOCKED)
    assert first == sbom.bill(IMAGE, backwards, LOCKED)
    assert first != sbom.bill(IMAGE | {"Id": "sha256:" + "e" * 64}, INSIDE, LOCKED)


def test_an_image_of_other_packages_than_the_locked_has_no_bill() -> None:
    """It was built from another lock, whose hashes would not be those of its contents."""
    with pytest.raises(sbom.SbomError, match=r"PyYAML is 6\.0\.4 in the image, and 6\.0\.5 in its lock file"):
        sbom.bill(IMAGE, INSIDE, {"pyyaml": LOCKED["pyyaml"]._replace(version="6.0.5")})


def test_a_bill_that_breaks_its_schema_is_found_out() -> None:
    """An invalid hash and an unknown field are reported."""
    bill = json.loads(sbom.bill(IMAGE, INSIDE, LOCKED))
    assert sbom.mistake(json.dumps(bill)) is None
    bill["metadata"]["component"]["hashes"][0]["content"] = "none"
    assert sbom.mistake(json.dumps(bill)) is not None
    assert sbom.mistake('{"bomFormat": "CycloneDX", "specVersion": "1.6", "odd": 1}') is not None


KNOWN = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "PYSEC-2024-1", "fix_versions": ["3.1.3"]}]}
FINE = {"name": "bottle", "version": "0.13.4", "vulns": []}
SKIPPED = {"name": "bottle", "skip_reason": "Dependency not found on PyPI and could not be audited: bottle (0.13.4)"}


@pytest.mark.parametrize(
    ("packages", "verdict", "says"),
    [
        ([FINE], Verdict.CLEAN, "nothing is known by pypi against 1 packages"),
        ([FINE, KNOWN], Verdict.FOUND, "jinja2 3.1.2: PYSEC-2024-1, mended in 3.1.3"),
        ([SKIPPED, KNOWN], Verdict.FOUND, "1 known by pypi"),
        ([FINE, SKIPPED], Verdict.NOT_ASKED, "pypi knows nothing of 1 of 2 packages"),
        ([], Verdict.NOT_ASKED, "pypi knows nothing of 0 of 0 packages"),
    ],
    ids=["fine", "one known", "one known, one skipped", "one skipped", "none"],
)
def test_what_was_skipped_is_not_taken_for_clean(packages: list[Any], verdict: Verdict, says: str) -> None:
    """Pip-audit itself prints "No known vulnerabilities found" for it, with exit code 0."""
    answer = audit.of_report("a.txt", "pypi", json.dumps({"dependencies": packages, "fixes": []}), "")
    assert answer.verdict is verdict
    assert says in answer.said


def test_a_service_that_is_not_reached_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Pip-audit itself, with a proxy that does not respond, is neither a success nor a failure."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"bottle==0.13.4 --hash=sha256:{'0' * 64}\n")
    nobody = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    (answer,) = audit.of_locks([lock], os.environ | nobody | {"NO_PROXY": "", "no_proxy": ""})
    assert answer.verdict is Verdict.NOT_ASKED
    assert answer.said.startswith("pypi can't be asked (")
    assert "osv can't be asked (" in answer.said
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, Verdict.CLEAN), (1, Verdict.FOUND), (127, Verdict.NOT_ASKED), (-1, Verdict.NOT_ASKED)]
)
def test_a_scanner_that_fails_has_not_scanned(code: int, verdict: Verdict) -> None:
    """Only its own code for "something was found" is a finding."""
    done = subprocess.CompletedProcess([], code, "", "first\nno data: could not be resolved\n")
    answer = audit.of_scan("scanner", 1, done)
    assert answer.verdict is verdict
    assert verdict is not Verdict.NOT_ASKED or "no data: could not be resolved" in answer.said


def test_without_a_bill_or_a_scanner_the_image_is_not_audited() -> None:
    """The message says what is missing."""
    assert audit.of_bill(ROOT / ".sbom/none.json", {}) == (
        Verdict.NOT_ASKED, "image", "there is no .sbom/none.json: make sbom writes it",
    )  # fmt: skip
    assert audit.of_bill(ROOT / "README.md", {"PATH": ""}).said == "none of trivy, grype is on PATH"


def test_a_program_that_is_asked_nothing_says_how_to_ask(capfd: pytest.CaptureFixture[str]) -> None:
    """The exit code is different from the verdicts'."""
    assert (audit.main([], {}), sbom.main(["image"])) == (2, 2)
    assert capfd.readouterr().err == (
        "usage: python -m tools.supply.audit BILL\nusage: python -m tools.supply.sbom IMAGE FILE\n"
    )


def test_what_security_md_names_is_there() -> None:
    """Every test that it cites as proof, every file, and every make target exists."""
    text = (ROOT / "SECURITY.md").read_text()
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(tests) > 10
    for file, name in tests:
        assert not name or f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"
        assert (ROOT / file).is_file()
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z0-9-]+)", text)) <= targets
    chart = yaml.safe_load((ROOT / "helm/Chart.yaml").read_text())["appVersion"]
    assert f"| {'.'.join(chart.split('.')[:2])}.x" in text, "the supported version is the one that is here"

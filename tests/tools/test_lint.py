"""Checks of `make lint`: their runs, waivers, and Go modules' folders."""

import re
import threading
from functools import partial
from pathlib import Path

import pytest

from tools.commands import ROOT, CommandError
from tools.lint import conformity, rendered
from tools.lint.__main__ import checks, failures, main, shell_scripts
from tools.lint.risks import WAIVERS, Waiver, verdict
from tools.toolchain.__main__ import ToolError
from tools.toolchain.modules import module


def test_every_check_that_fails_is_told() -> None:
    """A failure does not prevent other checks from running, and failures are reported in the order of the checks."""
    second_is_done = threading.Event()

    def first() -> None:
        assert second_is_done.wait(30)
        raise CommandError("first: 3 mistakes")

    def second() -> None:
        second_is_done.set()
        raise ToolError("second is missing")

    told = failures({"first": first, "fine": lambda: None, "second": second})
    assert list(told.items()) == [("first", "first: 3 mistakes"), ("second", "second is missing")]


def test_a_check_that_breaks_is_not_one_that_fails() -> None:
    """An exception in a check itself is not reported as a finding."""

    def broken() -> None:
        raise KeyError("results")

    with pytest.raises(KeyError):
        failures({"broken": broken})


def test_a_check_that_is_not_there_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    """The error lists the existing checks."""
    assert main(["ruf"], {}) == 2
    said = capfd.readouterr().err
    assert said.startswith("no check is called ruf; there are: ")
    assert all(name in said for name in checks({}))


def test_all_checks_run_unless_some_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names, all run."""
    done: list[str] = []
    fakes = {name: partial(done.append, name) for name in ("first", "second")}
    monkeypatch.setattr("tools.lint.__main__.checks", lambda _: fakes)
    monkeypatch.setattr("tools.lint.__main__.find", lambda *_: Path())
    assert main([], {}) == 0
    assert sorted(done) == ["first", "second"]
    assert main(["second"], {}) == 0
    assert sorted(done) == ["first", "second", "second"]


def test_scripts_are_found_by_their_first_line() -> None:
    """Most scripts have no suffix."""
    assert {".ci/run", ".ci/engine"} <= set(shell_scripts())
    assert not [name for name in shell_scripts() if name.endswith((".py", ".toml"))]


REPORT = {
    "check_type": "kubernetes",
    "results": {
        "passed_checks": [{"file_abs_path": "/tmp/a.yaml"}],  # noqa: S108 - no file is there
        "failed_checks": [
            {
                "check_id": check,
                "check_name": "Limits",
                "resource": f"{kind}.default.echo",
                "file_abs_path": "/tmp/a.yaml",  # noqa: S108
            }
            for check, kind in (("CKV_1", "Deployment"), ("CKV_1", "Pod"), ("CKV_2", "Pod"))
        ],
    },
}
FOR_PODS = Waiver("CKV_1", frozenset({"Pod"}), "a pod that runs once")
FOR_ALL = Waiver("CKV_1", frozenset(), "whatever it is")
OTHER = Waiver("CKV_2", frozenset(), "whatever it is")


@pytest.mark.parametrize(
    ("waivers", "told"),
    [
        ((FOR_ALL, OTHER), []),
        ((FOR_PODS, OTHER), ["a.yaml: Deployment.default.echo: Limits (CKV_1)"]),
        ((FOR_ALL,), ["a.yaml: Pod.default.echo: Limits (CKV_2)"]),
        ((FOR_ALL, OTHER, Waiver("CKV_3", frozenset(), "")), ["nothing needs the waiver of CKV_3 any more"]),
    ],
)
def test_a_finding_is_waived_or_told(waivers: tuple[Waiver, ...], told: list[str]) -> None:
    """It is waived by kind, or for all; an unused waiver is reported, too."""
    assert list(verdict([REPORT], waivers, {"/tmp/a.yaml"})) == told  # noqa: S108


def test_a_file_that_was_not_judged_is_told() -> None:
    """Checkov skips files that it can't read, or in which it finds nothing."""
    unread = {"check_type": "kubernetes", "results": {"parsing_errors": ["/b.yaml"]}}
    nothing = {"passed": 0, "failed": 0}
    assert list(verdict([unread, nothing], (), {"/b.yaml", "/c.yaml"})) == [
        "/b.yaml: checkov can't read it",
        "/b.yaml: checkov has judged nothing in it",
        "/c.yaml: checkov has judged nothing in it",
    ]


def test_a_dockerfiles_findings_are_of_one_kind() -> None:
    """Checkov names an instruction by the path of the file."""
    finding = {
        "check_id": "CKV_D",
        "check_name": "Tag",
        "resource": "/a/Dockerfile.FROM",
        "file_abs_path": "/a/Dockerfile",
    }
    report = {"check_type": "dockerfile", "results": {"failed_checks": [finding]}}
    assert list(verdict([report], (), ())) == ["Dockerfile: FROM: Tag (CKV_D)"]
    assert list(verdict([report], (Waiver("CKV_D", frozenset({"Dockerfile"}), ""),), ())) == []


def test_every_waiver_has_its_reason() -> None:
    """It is a sentence, and no check is waived twice for one kind."""
    assert all(re.fullmatch(r"[A-Z].{30,}\.", waiver.reason) for waiver in WAIVERS)
    kinds = [(waiver.check, kind) for waiver in WAIVERS for kind in (waiver.kinds or {""})]
    assert len(set(kinds)) == len(kinds)


def test_the_chart_is_judged_from_the_oldest_kubernetes_that_it_lets_in() -> None:
    """It starts at Chart.yaml's kubeVersion, k8s/ where its fields are known; both end at the cluster of `make e2e`."""
    claimed = conformity.claims()
    oldest = re.search(r'^kubeVersion: ">=([\d.]+)-0"$', (ROOT / "helm" / "Chart.yaml").read_text(), re.MULTILINE)
    assert oldest
    assert "chart" in claimed[oldest[1]]
    assert claimed[conformity.newest()] == {"chart", "k8s"}


def test_everything_that_is_rendered_is_judged() -> None:
    """That is the chart's defaults and every set of values, and every folder that `kubectl apply -k` accepts."""
    assert rendered.value_sets()["defaults"] == []
    assert len(rendered.value_sets()) == 1 + len(list((ROOT / "helm").glob("ci/*")))
    assert ROOT / "k8s" in rendered.kustomizations()


def fake_go(folder: Path, script: str) -> dict[str, str]:
    """Write a `go` to a folder; return an environment with that and the system's programs only."""
    go = folder / "go"
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_a_go_module_is_a_folder(tmp_path: Path) -> None:
    """Go downloads the requested version, and reports the folder."""
    environ = fake_go(tmp_path, """[ "$*" = "mod download -json a.test/b@v1.2.3" ] && echo '{"Dir": "/there"}'""")
    assert module("a.test/b", "v1.2.3", environ) == Path("/there")


@pytest.mark.parametrize(
    "script",
    ["""echo '{"Error": "a.test/b@v1.2.3: not found"}'; exit 1""", "echo 'a.test/b@v1.2.3: not found' >&2; exit 1"],
)
def test_a_go_module_that_can_not_be_had_is_named(tmp_path: Path, script: str) -> None:
    """The error has Go's message, wherever Go writes it."""
    with pytest.raises(ToolError, match=r"^a\.test/b v1\.2\.3 could not be had: a\.test/b@v1\.2\.3: not found$"):
        module("a.test/b", "v1.2.3", fake_go(tmp_path, script))


def test_without_go_the_error_says_what_to_install(tmp_path: Path) -> None:
    """There is no traceback."""
    with pytest.raises(ToolError, match=r"install Go 1\.26 or newer"):
        module("a.test/b", "v1.2.3", {"PATH": str(tmp_path)})


HELM = r"""
case "$*" in
  *--set=service.trafficDistribution=*) echo "rendered for $*" ;;
  *1.27.0*)
    echo 'The values can not be installed:' >&2
    echo '  - service.trafficDistribution=PreferClose needs Kubernetes 1.31, and this is v1.27.0: leave it empty' >&2
    exit 1 ;;
  *1.28.0*) echo '  - replicaCount=-1 is too low' >&2; exit 1 ;;
esac
"""


def test_what_a_kubernetes_is_too_old_for_is_left_empty_as_the_chart_says(tmp_path: Path) -> None:
    """All other values of the set are checked there all the same."""
    helm = tmp_path / "helm"
    helm.write_text(f"#!/bin/sh\n{HELM}")
    helm.chmod(0o755)
    files = rendered.render(helm, Path("unused"), "1.27.0", {"chart"}, tmp_path)
    assert "--kube-version 1.27.0" in files[0].read_text()
    assert "--set=service.trafficDistribution=\n" in files[0].read_text()
    with pytest.raises(CommandError, match="is too low"):
        rendered.render(helm, Path("unused"), "1.28.0", {"chart"}, tmp_path)

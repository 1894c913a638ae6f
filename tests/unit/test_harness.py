"""The harness of the cluster tests: clusters, registries, evidence."""

from pathlib import Path

import pytest

from tests.e2e import evidence, previous, supply
from tests.e2e.admission import evaluations
from tests.e2e.cluster import OWN, OWN_NAME, SHAPE, Cluster, Tools, cluster
from tools.commands import CommandError, follow, run


def program(folder: Path, name: str, script: str) -> str:
    """Return a program of this name and script, in which `$*` are its arguments."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}")
    file.chmod(0o755)
    return str(file)


def tools_that_know(names: str, folder: Path, kubectl: str = "/nonexistent/kubectl") -> Tools:
    """Return tools with a kind that lists these clusters and records its arguments, and no other program."""
    kind = f"""echo "$*" >> {folder}/asked
    case "$*" in
    get\\ clusters) echo {names} ;;
    create*) touch {folder}/state/{OWN}.kubeconfig ;;
    get\\ nodes*) echo a; echo b ;;
    esac
    """
    return Tools(program(folder, "kind", kind), "/nonexistent/helm", kubectl)


def asked(folder: Path) -> list[str]:
    """Return the recorded calls of kind."""
    return (folder / "asked").read_text().splitlines()


def test_a_cluster_that_was_not_made_here_is_not_touched(tmp_path: Path) -> None:
    """An existing cluster with our name is not touched, because it may be in use; the error says how to use it."""
    tools = tools_that_know(OWN, tmp_path)
    with (
        pytest.raises(CommandError, match=f"CLUSTER={OWN} uses it"),
        cluster({}, tools, "node", print, tmp_path / "state"),
    ):
        pytest.fail("it was used")
    assert asked(tmp_path) == ["get clusters"]


def test_a_cluster_that_is_named_must_be_there(tmp_path: Path) -> None:
    """A cluster that CLUSTER names must exist: none is created under that name."""
    tools = tools_that_know("other", tmp_path)
    with (
        pytest.raises(CommandError, match="kind knows no cluster of this name"),
        cluster({"CLUSTER": "mine"}, tools, "node", print, tmp_path / "state"),
    ):
        pytest.fail("it was used")
    assert asked(tmp_path) == ["get clusters"]


def test_a_cluster_that_is_named_is_left_as_it_is_found(tmp_path: Path) -> None:
    """A cluster that CLUSTER names is not deleted, and its kubeconfig is removed afterwards."""
    tools = tools_that_know("mine", tmp_path)
    with cluster({"CLUSTER": "mine"}, tools, "node", print, tmp_path / "state") as found:
        assert found.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert asked(tmp_path) == ["get clusters", "get kubeconfig --name mine"]
    assert not found.kubeconfig.exists()


@pytest.mark.parametrize(("environ", "name"), [({}, OWN), ({OWN_NAME: "another"}, "another")])
def test_a_cluster_whose_making_fails_is_taken_down(environ: dict[str, str], name: str, tmp_path: Path) -> None:
    """A cluster that can't be created is deleted, also after Ctrl-C, which takes the same path.

    It has the requested name.
    """
    tools = tools_that_know("''", tmp_path)
    with pytest.raises(FileNotFoundError), cluster(environ, tools, "node", print, tmp_path / "state"):
        pytest.fail("it was used, without a kubectl to see its nodes")
    assert asked(tmp_path)[1].startswith(f"create cluster --name {name} --image node --config {SHAPE}")
    assert asked(tmp_path)[-1].startswith(f"delete cluster --name {name}")
    assert list((tmp_path / "state").glob("*.made-here")) == []


def test_a_cluster_with_a_node_that_is_not_ready_is_not_used(tmp_path: Path) -> None:
    """A cluster is not used unless each of its nodes is ready, of which kind only warns.

    Its nodes are waited for by name, and its logs are kept.
    """
    kubectl = program(tmp_path, "kubectl", f'echo "kubectl $*" >> {tmp_path}/asked; exit 1\n')
    tools = tools_that_know("''", tmp_path, kubectl)
    with (
        pytest.raises(CommandError, match="wait --for=condition=Ready node/a node/b"),
        cluster({}, tools, "node", print, tmp_path / "state"),
    ):
        pytest.fail("it was used")
    first, *words = asked(tmp_path)[-2].split()
    assert [first, *words[:2]] == ["export", "logs", str(tmp_path / "state" / f"{OWN}.logs")]
    assert asked(tmp_path)[-1].startswith(f"delete cluster --name {OWN}")


def test_a_cluster_that_is_made_is_ours_when_all_is_ready(tmp_path: Path) -> None:
    """A new cluster is ours when its nodes, their proxies and its DNS are ready; a named one is not ours."""
    kubectl = program(tmp_path, "kubectl", f'echo "kubectl $*" >> {tmp_path}/asked\n')
    with cluster({}, tools_that_know("''", tmp_path, kubectl), "node", print, tmp_path / "state") as made:
        assert made.ours
    waited = [line.split()[1:6] for line in asked(tmp_path) if line.startswith("kubectl")]
    assert waited == [
        ["wait", "--for=condition=Ready", "node/a", "node/b", "--timeout=300s"],
        ["--namespace", "kube-system", "rollout", "status", "daemonset/kube-proxy"],
        ["--namespace", "kube-system", "rollout", "status", "deployment/coredns"],
    ]
    with cluster({"CLUSTER": "mine"}, tools_that_know("mine", tmp_path), "node", print, tmp_path / "state") as named:
        assert not named.ours


def found(folder: Path, **programs: str) -> Cluster:
    """Return a cluster whose programs are these scripts."""
    ways = {name: program(folder, name, script) for name, script in programs.items()}
    nothing = {name: f"/nonexistent/{name}" for name in ("kind", "helm", "kubectl")}
    return Cluster("name", folder / "state" / "kubeconfig", Tools(**nothing | ways), ours=True)


def test_a_warning_of_the_api_server_fails_a_change_by_helm(tmp_path: Path) -> None:
    """A warning of the API server fails a change by Helm.

    Helm prints it on stderr and succeeds; other lines there are no warnings.
    """
    warned = "echo done; echo 'W1124 12:00:00 1 warnings.go:70] would violate PodSecurity' >&2\n"
    with pytest.raises(AssertionError, match="would violate PodSecurity"):
        found(tmp_path, helm=warned).change("install")
    assert found(tmp_path, helm="echo done; echo progress >&2\n").change("install") == "done\n"


def test_what_pod_security_admission_has_counted_is_summed_up(tmp_path: Path) -> None:
    """Evaluations are summed over pods and controllers, for the restricted profile only."""

    def line(decision: str, mode: str, level: str, resource: str, count: int) -> str:
        labels = f'decision="{decision}",mode="{mode}",policy_level="{level}",policy_version="latest"'
        return f'pod_security_evaluations_total{{{labels},request_operation="create",resource="{resource}"}} {count}'

    lines = (
        "# HELP pod_security_evaluations_total of no matter",
        line("allow", "enforce", "privileged", "pod", 9),
        line("allow", "enforce", "restricted", "pod", 2),
        line("deny", "audit", "restricted", "pod", 1),
        line("deny", "audit", "restricted", "controller", 3),
    )
    (tmp_path / "metrics").write_text("\n".join(lines))
    assert evaluations(found(tmp_path, kubectl=f"cat {tmp_path}/metrics\n")) == {
        ("allow", "enforce"): 2,
        ("deny", "audit"): 4,
    }


def test_the_previous_releases_chart_is_asked_for_where_the_history_lacks_it(tmp_path: Path) -> None:
    """If the history lacks the previous chart, the error says what to do, as in a shallow clone.

    A folder that is named must have a chart.
    """
    with pytest.raises(CommandError, match=r"git fetch --unshallow.*PREVIOUS_CHART=folder"):
        previous.previous_chart({}, tmp_path, "0" * 40)
    with pytest.raises(CommandError, match=f"PREVIOUS_CHART={tmp_path}: there is no chart in this folder"):
        previous.previous_chart({"PREVIOUS_CHART": str(tmp_path)}, tmp_path)
    (tmp_path / "Chart.yaml").touch()
    assert previous.previous_chart({"PREVIOUS_CHART": str(tmp_path)}, tmp_path / "other", "0" * 40) == tmp_path


def test_what_a_failed_test_leaves_is_there_also_where_a_question_fails(tmp_path: Path) -> None:
    """Evidence has one file per question and namespace; a failed command is recorded in its file."""
    answering = program(
        tmp_path,
        "program",
        'case "$*" in\n'
        "get\\ namespaces*) echo namespace/echo-a ;;\n"
        "*logs*) echo none >&2; exit 1 ;;\n"
        '*) echo "$*" ;;\n'
        "esac\n",
    )
    tools = Tools("/nonexistent/kind", answering, answering)
    folder = evidence.keep(Cluster("name", tmp_path / "state" / "kubeconfig", tools, ours=True), "test_it[helm]")
    assert folder == tmp_path / "state" / "test_it-helm"
    kept = {file.name: file.read_text() for file in folder.iterdir()}
    assert kept["nodes.txt"] == "describe nodes\n"
    assert kept["chart.yaml"] == "template echo helm\n"
    assert kept["manifests.yaml"] == "kustomize k8s\n"
    assert kept["echo-a-events.txt"] == "--namespace echo-a get events --sort-by=.lastTimestamp\n"
    assert kept["echo-a-logs.txt"].endswith("exit code 1\nnone\n\n")
    assert {"echo-a-objects.yaml", "echo-a-description.txt", "echo-a-previous-logs.txt"} <= set(kept)


@pytest.mark.parametrize(("asked_for", "registries"), [("yes", True), ("no", False)])
def test_the_use_of_registries_can_be_overridden(asked_for: str, registries: bool) -> None:  # noqa: FBT001 - a column
    """The use of registries can be overridden, and the reason says so."""
    assert supply.reachable({"REGISTRIES": asked_for}) == (registries, f"REGISTRIES={asked_for} says so")
    with pytest.raises(ValueError, match="REGISTRIES='maybe': yes or no"):
        supply.reachable({"REGISTRIES": "maybe"})


def test_a_program_that_fails_is_told_with_what_it_said() -> None:
    """A failed program is reported with command, exit code and output, however it was run."""
    for attempt in (run, lambda *words: follow(*words, say=lambda _: None)):
        with pytest.raises(CommandError, match=r"sh -c echo why >&2; exit 7: exit code 7\nwhy"):
            attempt("sh", "-c", "echo why >&2; exit 7")


def test_a_program_that_does_not_end_is_ended() -> None:
    """A program that does not end is stopped at its deadline."""
    for attempt in (run, lambda *words, deadline: follow(*words, say=lambda _: None, deadline=deadline)):
        with pytest.raises(CommandError, match="not done after 0 s"):
            attempt("sleep", "60", deadline=0.2)

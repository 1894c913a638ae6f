"""The harness of the cluster tests: which cluster is taken, which images, and what is never touched."""

from pathlib import Path

import pytest

from tests.commands import CommandError, follow, run
from tests.e2e import evidence, supply
from tests.e2e.cluster import OWN, Cluster, Tools, cluster


def tools_that_know(names: str, folder: Path) -> Tools:
    """Give a kind that lists these clusters and writes down all that it is asked; no other program."""
    kind = folder / "kind"
    kind.write_text(f'#!/bin/sh\necho "$*" >> {folder}/asked\n[ "$1 $2" != "get clusters" ] || echo {names}\n')
    kind.chmod(0o755)
    return Tools(str(kind), "/nonexistent/helm", "/nonexistent/kubectl")


def asked(folder: Path) -> list[str]:
    """Give what kind was asked."""
    return (folder / "asked").read_text().splitlines()


def test_a_cluster_that_was_not_made_here_is_not_touched(tmp_path: Path) -> None:
    """It may be somebody's work: what to do is said."""
    tools = tools_that_know(OWN, tmp_path)
    with (
        pytest.raises(CommandError, match=f"CLUSTER={OWN} uses it"),
        cluster({}, tools, "node", print, tmp_path / "state"),
    ):
        pytest.fail("it was used")
    assert asked(tmp_path) == ["get clusters"]


def test_a_cluster_that_is_named_must_be_there(tmp_path: Path) -> None:
    """None is made under somebody else's name."""
    tools = tools_that_know("other", tmp_path)
    with (
        pytest.raises(CommandError, match="kind knows no cluster of this name"),
        cluster({"CLUSTER": "mine"}, tools, "node", print, tmp_path / "state"),
    ):
        pytest.fail("it was used")
    assert asked(tmp_path) == ["get clusters"]


def test_a_cluster_that_is_named_is_left_as_it_is_found(tmp_path: Path) -> None:
    """Not deleted, and our way to it is taken away."""
    tools = tools_that_know("mine", tmp_path)
    with cluster({"CLUSTER": "mine"}, tools, "node", print, tmp_path / "state") as found:
        assert found.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert asked(tmp_path) == ["get clusters", "get kubeconfig --name mine"]
    assert not found.kubeconfig.exists()


def test_a_cluster_whose_making_fails_is_taken_down(tmp_path: Path) -> None:
    """Also after Ctrl-C, which comes this way."""
    tools = tools_that_know("''", tmp_path)
    with pytest.raises(FileNotFoundError), cluster({}, tools, "node", print, tmp_path / "state"):
        pytest.fail("it was used, without a kubectl to see its nodes")
    assert asked(tmp_path)[-1].startswith(f"delete cluster --name {OWN}")
    assert list((tmp_path / "state").iterdir()) == []


def test_what_a_failed_test_leaves_is_there_also_where_a_question_fails(tmp_path: Path) -> None:
    """Each answer has its file, for each namespace of the tests; what can't be had is said in it."""
    program = tmp_path / "program"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "get\\ namespaces*) echo namespace/echo-a ;;\n"
        "*logs*) echo none >&2; exit 1 ;;\n"
        '*) echo "$*" ;;\n'
        "esac\n"
    )
    program.chmod(0o755)
    tools = Tools("/nonexistent/kind", str(program), str(program))
    folder = evidence.keep(Cluster("name", tmp_path / "state" / "kubeconfig", tools), "test_it[helm]")
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
    """And the reason says so."""
    assert supply.reachable({"REGISTRIES": asked_for}) == (registries, f"REGISTRIES={asked_for} says so")
    with pytest.raises(ValueError, match="REGISTRIES='maybe': yes or no"):
        supply.reachable({"REGISTRIES": "maybe"})


def test_a_program_that_fails_is_told_with_what_it_said() -> None:
    """The command, the code and the output, however it was run."""
    for attempt in (run, lambda *words: follow(*words, say=lambda _: None)):
        with pytest.raises(CommandError, match=r"sh -c echo why >&2; exit 7: exit code 7\nwhy"):
            attempt("sh", "-c", "echo why >&2; exit 7")


def test_a_program_that_does_not_end_is_ended() -> None:
    """At its deadline."""
    for attempt in (run, lambda *words, deadline: follow(*words, say=lambda _: None, deadline=deadline)):
        with pytest.raises(CommandError, match="not done after 0 s"):
            attempt("sleep", "60", deadline=0.2)

"""The kind cluster: found or made, and taken down again when it was made here.

It never touches a cluster that it did not make or was not named, nor the user's kubeconfig.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.commands import ROOT, CommandError, Say, follow, run

STATE = ROOT / ".e2e"
OWN = "echo-e2e"  # the name of the cluster that is made here, unless OWN_NAME says another one
OWN_NAME = "NEW_CLUSTER"
SHAPE = Path(__file__).with_name("cluster.yaml")  # its nodes
DEADLINE = 300  # seconds for a node to be ready

# Labels of the nodes of those that are made here.
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"


@dataclass(frozen=True)
class Tools:
    """The programs, by their paths."""

    kind: str
    helm: str
    kubectl: str


@dataclass(frozen=True)
class Cluster:
    """A cluster that is there, and the way to it: a kubeconfig of its own, for its owner's eyes."""

    name: str
    kubeconfig: Path
    tools: Tools
    ours: bool  # made for the tests: its nodes are known, and may be taken out of service

    def helm(self, *arguments: str | Path, deadline: float = 180) -> str:
        """Run helm against the cluster."""
        return run(self.tools.helm, *arguments, deadline=deadline, environ=self.environ)

    def change(self, *arguments: str | Path) -> str:
        """Run a helm that changes the cluster. Fails when the API server warns of anything."""
        said: list[str] = []
        output = follow(self.tools.helm, *arguments, say=said.append, deadline=180, environ=self.environ)
        warned = [line for line in said if "warn" in line.lower()]
        assert not warned, f"the API server warns: {warned}"
        return output

    def kubectl(self, *arguments: str | Path, deadline: float = 120) -> str:
        """Run kubectl against the cluster."""
        return run(self.tools.kubectl, *arguments, deadline=deadline, environ=self.environ)

    @property
    def environ(self) -> dict[str, str]:
        """What makes kubectl and helm talk to this cluster and to no other."""
        return {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.cache)}

    @property
    def cache(self) -> Path:
        """Where kubectl keeps what it learned of the cluster, which is not the user's business."""
        return self.kubeconfig.with_suffix(".cache")


@contextlib.contextmanager
def cluster(
    environ: Mapping[str, str], tools: Tools, node_image: str, say: Say, state: Path = STATE
) -> Iterator[Cluster]:
    """Give a cluster.

    `CLUSTER` names one that exists, which is left as it is found. Else one is made, under the name that
    `NEW_CLUSTER` says; `KEEP=1` keeps it, and the next run finds it. Raises `CommandError` when it can't be had.
    """
    named = environ.get("CLUSTER", "")
    name = named or environ.get(OWN_NAME, OWN)
    state.mkdir(exist_ok=True)
    made_here = state / f"{name}.made-here"
    exists = name in run(tools.kind, "get", "clusters").split()
    found = Cluster(name, state / f"{name}.kubeconfig", tools, ours=not named)
    if named and not exists:
        raise CommandError(f"CLUSTER={named}: kind knows no cluster of this name; without CLUSTER one is made")
    if not named and exists and not made_here.exists():
        raise CommandError(
            f"a kind cluster {name} exists that was not made here: CLUSTER={name} uses it,"
            f" `kind delete cluster --name {name}` makes room"
        )
    try:
        if exists:
            say(f"the cluster {name} is used, which exists")
            _write_kubeconfig(found)
        else:
            made_here.touch()
            _create(found, node_image, say)
        yield found
    finally:
        if made_here.exists() and not named:
            if environ.get("KEEP") == "1":
                say(f"kept: KUBECONFIG={found.kubeconfig} {tools.kubectl} get pods -A")
                say(f"to delete it: {tools.kind} delete cluster --name {name} && rm {made_here}")
            else:
                say(f"the cluster {name} is deleted")
                run(tools.kind, "delete", "cluster", "--name", name, "--kubeconfig", found.kubeconfig)
                made_here.unlink()
                _forget(found)
        elif named:
            _forget(found)


def _create(made: Cluster, node_image: str, say: Say) -> None:
    say(f"kind create cluster --name {made.name} --image {node_image} --config {SHAPE.relative_to(ROOT)}")
    follow(
        made.tools.kind, "create", "cluster", "--name", made.name, "--image", node_image, "--config", SHAPE,
        "--kubeconfig", made.kubeconfig, "--wait", f"{DEADLINE}s",
        say=lambda line: say(f"  {line.strip()}") if line.strip() else None,
    )  # fmt: skip
    made.kubeconfig.chmod(0o600)
    # kind's own wait only warns, and looks only at the control plane. By name: a node that never joined is no node.
    nodes = [f"node/{name}" for name in run(made.tools.kind, "get", "nodes", "--name", made.name).split()]
    patience = f"--timeout={DEADLINE}s"
    try:
        made.kubectl("wait", "--for=condition=Ready", *nodes, patience, deadline=DEADLINE + 10)
        # Names are looked up by the tests, and the nodes are ready before the cluster's DNS is. The proxy is what makes
        # a Service of addresses, on each of them.
        for what in ("daemonset/kube-proxy", "deployment/coredns"):
            made.kubectl("--namespace", "kube-system", "rollout", "status", what, patience, deadline=DEADLINE + 10)
    except CommandError:
        logs = made.kubeconfig.with_suffix(".logs")
        with contextlib.suppress(CommandError):
            run(made.tools.kind, "export", "logs", logs, "--name", made.name)
        say(f"not all is ready: the nodes' logs are in {logs}")
        raise
    say(f"ready: {', '.join(nodes)}")


def _forget(found: Cluster) -> None:
    found.kubeconfig.unlink(missing_ok=True)
    shutil.rmtree(found.cache, ignore_errors=True)


def _write_kubeconfig(found: Cluster) -> None:
    found.kubeconfig.touch(mode=0o600)
    found.kubeconfig.write_text(run(found.tools.kind, "get", "kubeconfig", "--name", found.name))

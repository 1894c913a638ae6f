"""The kind cluster: an existing one, or one created for the tests.

A created cluster is deleted at the end. No other cluster than the created or named one is touched, nor the user's
kubeconfig.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.commands import ROOT, CommandError, Say, follow, run

STATE = ROOT / ".e2e"
OWN = "echo-e2e"  # the name of the created cluster, unless OWN_NAME sets another one
OWN_NAME = "NEW_CLUSTER"
SHAPE = Path(__file__).with_name("cluster.yaml")  # its nodes
DEADLINE = 300  # seconds for a node to be ready

# Labels of the nodes of created clusters.
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"


@dataclass(frozen=True)
class Tools:
    """The paths of the programs."""

    kind: str
    helm: str
    kubectl: str


@dataclass(frozen=True)
class Cluster:
    """An existing cluster, with a kubeconfig of its own that only its owner can read."""

    name: str
    kubeconfig: Path
    tools: Tools
    ours: bool  # created for the tests: its nodes are known, and may be taken out of service

    def helm(self, *arguments: str | Path, deadline: float = 180) -> str:
        """Run helm against the cluster."""
        return run(self.tools.helm, *arguments, deadline=deadline, environ=self.environ)

    def change(self, *arguments: str | Path) -> str:
        """Run a helm command that changes the cluster. Fails if the API server warns of anything."""
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
        """The environment with which kubectl and helm use this cluster and no other."""
        return {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.cache)}

    @property
    def cache(self) -> Path:
        """The cache of kubectl for this cluster, separate from the user's."""
        return self.kubeconfig.with_suffix(".cache")


@contextlib.contextmanager
def cluster(
    environ: Mapping[str, str], tools: Tools, node_image: str, say: Say, state: Path = STATE
) -> Iterator[Cluster]:
    """Yield a cluster.

    `CLUSTER` names an existing one, which is left as it was found. Otherwise one is created, named by `NEW_CLUSTER`;
    with `KEEP=1` it is kept, and the next run uses it. Raises `CommandError` if the cluster is not available.
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
    # The wait of kind only warns, and checks only the control plane; nodes are named because one that never joined is
    # missing from a list.
    nodes = [f"node/{name}" for name in run(made.tools.kind, "get", "nodes", "--name", made.name).split()]
    patience = f"--timeout={DEADLINE}s"
    try:
        made.kubectl("wait", "--for=condition=Ready", *nodes, patience, deadline=DEADLINE + 10)
        # The tests resolve names, and the nodes are ready before the cluster's DNS. The proxy on each node makes the
        # addresses of Services work.
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

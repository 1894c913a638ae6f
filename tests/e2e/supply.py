"""Where the images come from that are not ours: the node of the cluster and the base of our image.

This is the one place where it is decided whether container registries are used, and the only one that knows.
`python -m tests.e2e.supply` decides, says why, and makes sure that both images are there.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.commands import CommandError, Say, follow, run, say_to_stderr

# kind v0.33.0's own, by digest: https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0
NODE_IMAGE = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
# The default of the Dockerfile's base_image; a test compares them.
BASE_IMAGE = "python:3.13-slim-trixie"
# The Dockerfile says that this base works as well.
OTHER_BASE_IMAGE = "python:3.13-alpine"

OVERRIDE = "REGISTRIES"  # yes or no: overrides the decision
REGISTRY_FREE = Path(__file__).parent / "registry-free"


@dataclass(frozen=True)
class Supply:
    """What is used: references that the engine has or can pull."""

    node_image: str
    base_image: str


@cache
def _can_be_looked_up(image: str) -> CommandError | None:
    try:
        run("docker", "manifest", "inspect", image, deadline=60)
    except CommandError as error:
        return error
    return None


def reachable(environ: Mapping[str, str]) -> tuple[bool, str]:
    """Decide whether container registries are used, and say why. Raises `ValueError` for a bad override."""
    asked = environ.get(OVERRIDE, "")
    if asked not in {"", "yes", "no"}:
        raise ValueError(f"{OVERRIDE}={asked!r}: yes or no")
    if asked:
        return asked == "yes", f"{OVERRIDE}={asked} says so"
    error = _can_be_looked_up(BASE_IMAGE)
    if error:
        return False, f"{BASE_IMAGE} can't be looked up ({str(error).strip().splitlines()[-1]})"
    return True, f"{BASE_IMAGE} can be looked up"


def bases(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give the bases on which our image can be tried.

    There is no stand-in for Alpine: its packages are not to be had where no container registry is reached.
    """
    return (BASE_IMAGE, OTHER_BASE_IMAGE) if reachable(environ)[0] else (BASE_IMAGE,)


def supply(environ: Mapping[str, str], say: Say) -> Supply:
    """Decide, say so, and give images that are there. Raises `CommandError` when one can't be had."""
    registries, reason = reachable(environ)
    if registries:
        say(f"images come from their registries, since {reason}")
        return Supply(NODE_IMAGE, BASE_IMAGE)
    say(f"stand-ins are made for the images of others, since {reason}; {OVERRIDE}=yes overrides it")
    say(f"our image is not tried on {OTHER_BASE_IMAGE}, for which there is no stand-in")
    follow(REGISTRY_FREE / "python-base", BASE_IMAGE, say=say)
    node_image = follow(REGISTRY_FREE / "node-image", say=say).strip().splitlines()[-1]
    return Supply(node_image, BASE_IMAGE)


if __name__ == "__main__":
    try:
        supply(os.environ, say_to_stderr)
    except (CommandError, ValueError) as error:
        say_to_stderr(str(error))
        sys.exit(1)

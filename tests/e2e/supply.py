"""Sources of third-party images: the cluster's node and the base image.

Only this module decides whether container registries are used, and depends on it. `python -m tests.e2e.supply` decides,
reports the reason, and makes both images available.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.commands import CommandError, Say, follow, run, say_to_stderr

# the image of kind v0.33.0, by digest: https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0
NODE_IMAGE = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
# The default of the Dockerfile's base_image; a test compares them.
BASE_IMAGE = "python:3.13-slim-trixie"
# The Dockerfile documents that this base works as well.
OTHER_BASE_IMAGE = "python:3.13-alpine"

OVERRIDE = "REGISTRIES"  # yes or no: overrides the decision
REGISTRY_FREE = Path(__file__).parent / "registry-free"


@dataclass(frozen=True)
class Supply:
    """The images in use: references that the container engine has or can pull."""

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
    """Decide whether container registries are used; return why. Raises `ValueError` if the override is invalid."""
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
    """Return the bases on which the echo's image can be tested.

    There is no replacement for Alpine, because its packages are not available without a container registry.
    """
    return (BASE_IMAGE, OTHER_BASE_IMAGE) if reachable(environ)[0] else (BASE_IMAGE,)


def supply(environ: Mapping[str, str], say: Say) -> Supply:
    """Decide, report it, and return available images. Raises `CommandError` if one is not available."""
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

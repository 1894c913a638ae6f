"""A second image of the same code, with another version.

Each response of the echo contains its version.
"""

import shutil
from pathlib import Path

from tests.e2e.cluster import Cluster
from tools.commands import ROOT, follow, run

_PARTS = ("Makefile", "Dockerfile", ".dockerignore", "requirements.txt", "requirements/build.txt")


def another_image(cluster: Cluster, folder: Path, version: str) -> str:
    """Build the image of this version with `make` from a copy in `folder`, and load it; return its reference."""
    for part in _PARTS:
        (folder / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, folder / part)
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "app" / "__init__.py"
    text = module.read_text()
    changed = text.replace(_version_of(text), f'__version__ = "{version}"')
    assert changed != text
    module.write_text(changed)
    git = {"GIT_DIR": run("git", "rev-parse", "--absolute-git-dir").strip()}
    make = ("make", "--no-print-directory", f"--directory={folder}", "image")
    image = follow(*make, say=lambda _: None, environ=git).strip().splitlines()[-1]
    run(cluster.tools.kind, "load", "docker-image", image, "--name", cluster.name, deadline=300)
    return image


def _version_of(text: str) -> str:
    (line,) = (line for line in text.splitlines() if line.startswith("__version__ = "))
    return line
